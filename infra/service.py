"""The part of a stage that can be thrown away: network, service, entrance and alarms, and every grant between them."""

from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager

from infra.base import BaseStack, acknowledge, wildcard
from infra.constructs.alarms import Alarms
from infra.constructs.edge import Edge
from infra.constructs.fargate import CONTAINER, PORT, ApiService
from infra.constructs.network import EGRESS, Network
from infra.constructs.observability import Dashboard, SavedQueries
from infra.constructs.rollout import ROLLOUTS
from infra.constructs.web_acl import WebAcl
from infra.foundation import ACCESS_LOG_PREFIX
from infra.stages import REPOSITORY, Stage

_TABLE_ACTIONS = tuple(f"dynamodb:{name}" for name in ("Query", "GetItem", "PutItem", "DeleteItem"))
"""A transaction needs the actions of what it consists of."""
_CORE = 1024
"""Units of a virtual CPU; a worker of the server fills one."""


class ServiceStack(BaseStack):
    """Runs the image of one digest. It reaches the other stacks by names alone, which locks nobody."""

    def __init__(self, scope: cdk.App, construct_id: str, *, stage: Stage, digest: str, **kwargs: Any) -> None:
        """`digest` is a literal: a parameter would render `repository:` instead of `repository@`."""
        super().__init__(scope, construct_id, termination_protection=stage.protect, **kwargs)
        cdk.Tags.of(self).add("stage", stage.name)
        table = dynamodb.Table.from_table_name(self, "Comments", stage.table)
        network = Network(
            self,
            "Network",
            egress=EGRESS[stage.egress],
            rejected_connections=self._log_group("FlowLogs", stage.flow_log_group) if stage.flow_logs else None,
        )
        edge = Edge(
            self,
            "Edge",
            vpc=network.vpc,
            domain=stage.domain,
            protect=stage.protect,
            log_bucket_name=stage.log_bucket(account=self.account, region=self.region),
            log_prefix=ACCESS_LOG_PREFIX,
        )
        alarms = Alarms(self, "Alarms", stage=stage)
        app_logs = self._log_group("AppLogs", stage.app_log_group)
        rollout = ROLLOUTS[stage.rollout]
        api = ApiService(
            self,
            "Api",
            stage=stage,
            network=network,
            image=ecs.ContainerImage.from_ecr_repository(self._images(stage), digest),
            environment=_environment(stage),
            secrets=self._secrets(stage),
            log_group=app_logs,
            rollout=rollout,
        )
        api.service.node.add_dependency(*alarms.guard_deployments(edge.load_balancer))
        target_groups = rollout.connect(edge.listener, api.service, container=CONTAINER, port=PORT)
        api.scale(stage=stage, target_groups=target_groups)
        table.grant(api.task_definition.task_role, *_TABLE_ACTIONS)
        self._acknowledge_roles(api, logs_arn=app_logs.log_group_arn)

        alarms.watch_service(load_balancer=edge.load_balancer, target_groups=target_groups, service=api.service)
        alarms.watch_deployments()
        alarms.watch_table(table)
        SavedQueries(self, "Queries", folder=stage.service, log_group_name=stage.app_log_group)
        if stage.web_acl:
            WebAcl(
                self,
                "WebAcl",
                metric=stage.service,
                resource_arn=edge.load_balancer.load_balancer_arn,
                post_limit=stage.post_limit,
                log_group_arn=self.format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=stage.waf_log_group,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                ),
            )
        if stage.dashboard:
            Dashboard(
                self,
                "Dashboard",
                name=stage.service,
                alarms=alarms,
                load_balancer=edge.load_balancer,
                target_groups=target_groups,
                service=api.service,
                min_tasks=stage.min_tasks,
                table=table,
                route_namespace=stage.metrics_namespace if stage.route_metrics else None,
                web_acl_metric=stage.service if stage.web_acl else None,
            )
        for name, value, meaning in (
            ("BaseUrl", edge.base_url, "The address of the API"),
            ("ImageDigest", digest, "What the service runs"),
            ("TargetGroupArn", target_groups[0].target_group_arn, "Where the health of the tasks is"),
            ("AlarmTopicArn", alarms.topic.topic_arn, "Where alarms go"),
        ):
            cdk.CfnOutput(self, name, value=value, description=meaning)

    def _images(self, stage: Stage) -> ecr.IRepository:
        arn = self.format_arn(
            service="ecr",
            account=stage.registry_account or self.account,
            resource="repository",
            resource_name=REPOSITORY,
        )
        return ecr.Repository.from_repository_attributes(self, "Images", repository_arn=arn, repository_name=REPOSITORY)

    def _log_group(self, construct_id: str, name: str) -> logs.ILogGroup:
        return logs.LogGroup.from_log_group_name(self, construct_id, name)

    def _secrets(self, stage: Stage) -> dict[str, ecs.Secret]:
        """Return what ECS hands to the task as variables; CDK grants it to the execution role.

        The moderator's token crosses no network in the clear: without TLS there is no moderator, except in the
        playground, where loopback stands for TLS.
        """
        if not (stage.https or stage.name == "playground"):
            return {}
        token = secretsmanager.Secret.from_secret_name_v2(self, "Moderator", stage.moderator_secret)
        return {"COMMENTS_MODERATOR_TOKEN": ecs.Secret.from_secrets_manager(token)}

    def _acknowledge_roles(self, api: ApiService, *, logs_arn: str) -> None:
        execution = api.task_definition.execution_role
        if execution is None:
            raise TypeError("the task definition has no execution role, so nothing may pull its image")
        acknowledge(
            execution,
            {
                "AwsSolutions-IAM5[Resource::*]": "ecr:GetAuthorizationToken knows no resource; the rest names its own",
                wildcard(self, logs_arn): "the streams of one log group",
            },
        )


def _environment(stage: Stage) -> dict[str, str]:
    """Return what the task tells the application."""
    environment = {"COMMENTS_STORE": f"dynamodb://{stage.table}", "COMMENTS_TRUSTED_PROXIES": "1"}
    metrics = {"COMMENTS_METRICS": stage.metrics_namespace} if stage.route_metrics else {}
    workers = {"WEB_CONCURRENCY": str(stage.cpu // _CORE)} if stage.cpu > _CORE else {}
    return dict(stage.settings) | environment | metrics | workers
