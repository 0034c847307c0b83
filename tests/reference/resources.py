from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from constructs import Construct

from infra.constructs.alarms import MINUTE, Alarms
from infra.constructs.dashboard import Row, graph
from infra.model import Stage


def add_data_resources(scope: Construct, *, stage: Stage, removal_policy: cdk.RemovalPolicy) -> None:
    dynamodb.TableV2(
        scope,
        "Pages",
        table_name=f"{stage.service}-pages",
        partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
        billing=dynamodb.Billing.on_demand(
            max_read_request_units=stage.max_reads, max_write_request_units=stage.max_writes
        ),
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        removal_policy=removal_policy,
    )


def add_service_resources(scope: Construct, *, stage: Stage, alarms: Alarms) -> Sequence[Row]:
    table = dynamodb.Table.from_table_name(scope, "Pages", f"{stage.service}-pages")
    throttled = table.metric("WriteThrottleEvents", statistic="sum", period=MINUTE)
    alarms.add(
        "write-throttles",
        metric=throttled,
        threshold=1,
        periods=3,
        impact="Notes are not stored.",
        query="responses by route",
        section="throttles",
    )
    return [Row("Is it the table?", (graph("Throttled writes per minute", throttled),))]
