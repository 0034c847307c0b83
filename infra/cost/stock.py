"""What the service would cost as most tutorials build it: CDK's own pattern, left at its defaults."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_ecs_patterns as patterns

from infra.base import BaseStack
from infra.stages import Stage

TASKS = 2


class StockStack(BaseStack):
    """`ApplicationLoadBalancedFargateService` with two tasks of the stage's size, and an on-demand table."""

    def __init__(self, scope: cdk.App, construct_id: str, *, stage: Stage, **kwargs: Any) -> None:
        super().__init__(scope, construct_id, **kwargs)
        dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
        )
        patterns.ApplicationLoadBalancedFargateService(
            self,
            "Service",
            cpu=stage.cpu,
            memory_limit_mib=stage.memory,
            desired_count=TASKS,
            # Said, since leaving it out is deprecated; it is what the pattern has done by default.
            min_healthy_percent=50,
            task_image_options=patterns.ApplicationLoadBalancedTaskImageOptions(
                image=ecs.ContainerImage.from_registry("comments")
            ),
        )
