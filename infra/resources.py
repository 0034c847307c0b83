"""Your own resources, as constructs. A workload without any needs no such file."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ses as ses
from constructs import Construct

from infra import workload
from infra.constructs.alarms import MINUTE, Alarms
from infra.constructs.dashboard import Row, graph
from infra.model import Stage

_USES = ("Read", "Write")
_INDEX = "recent"
_LATE_SECONDS = 15 * 60
"""The service retries for ten minutes before the pauses become long."""


def add_data_resources(scope: Construct, *, stage: Stage, removal_policy: cdk.RemovalPolicy) -> None:
    """Add the table of comments to the stateful stack, and the identity of a stage that sends email."""
    dynamodb.TableV2(
        scope,
        "Comments",
        table_name=stage.service,
        partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
        sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
        # The newest comments of all threads: $0.63 per million comments, and $0.25 a month for each GB of keys.
        global_secondary_indexes=[
            dynamodb.GlobalSecondaryIndexPropsV2(
                index_name=_INDEX,
                partition_key=dynamodb.Attribute(name="recent", type=dynamodb.AttributeType.STRING),
                sort_key=dynamodb.Attribute(name="sk", type=dynamodb.AttributeType.STRING),
                projection_type=dynamodb.ProjectionType.KEYS_ONLY,
            )
        ],
        billing=dynamodb.Billing.on_demand(
            max_read_request_units=stage.max_reads, max_write_request_units=stage.max_writes
        ),
        time_to_live_attribute="expires_at",
        point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
            point_in_time_recovery_enabled=True
        ),
        removal_policy=removal_policy,
    )
    if workload.MAIL and workload.notifies(stage, "mail"):
        name = workload.MAIL.name
        identity = ses.Identity.email(name) if "@" in name else ses.Identity.domain(name)
        ses.EmailIdentity(scope, "Mail", identity=identity).apply_removal_policy(removal_policy)


def add_service_resources(scope: Construct, *, stage: Stage, alarms: Alarms) -> Sequence[Row]:
    """Add alarms for throttling, by the stage's ceilings or of a very busy thread; return rows of the dashboard."""
    table = dynamodb.Table.from_table_name(scope, "Comments", stage.service)
    # If the index is throttled, DynamoDB throttles writes to the table.
    of_index = {"TableName": stage.service, "GlobalSecondaryIndexName": _INDEX}
    index_throttled, index_capacity = (
        table.metric(name, dimensions_map=of_index, statistic="sum", period=MINUTE, label="Write, index")
        for name in ("WriteThrottleEvents", "ConsumedWriteCapacityUnits")
    )
    for kind in _USES:
        alarms.add(
            f"{kind.lower()}-throttles",
            metric=table.metric(f"{kind}ThrottleEvents", statistic="sum", period=MINUTE),
            threshold=1,
            periods=3,
            impact=f"Some visitors get 429: DynamoDB throttles {kind.lower()}s.",
            query="responses by route",
            section="throttles",
        )
    throttled, latency, capacity = (
        [table.metric(f"{of}ThrottleEvents", statistic="sum", period=MINUTE, label=of) for of in _USES],
        [
            table.metric(
                "SuccessfulRequestLatency",
                dimensions_map={"TableName": table.table_name, "Operation": operation},
                statistic="p99",
                period=MINUTE,
                label=operation,
            )
            # A comment with an idempotency key, as from embed.js, is stored in a transaction.
            for operation in ("Query", "PutItem", "TransactWriteItems")
        ],
        [table.metric(f"Consumed{of}CapacityUnits", statistic="sum", period=MINUTE, label=of) for of in _USES],
    )
    graphs = (
        graph("Throttled requests per minute", *throttled, index_throttled),
        graph("p99 of DynamoDB, milliseconds", *latency),
        graph("Capacity units per minute", *capacity, index_capacity),
    )
    rows = [Row("Is it the table?", graphs)]
    if (workload.notifies(stage, "webhook") or workload.notifies(stage, "mail")) and stage.route_metrics:
        rows.append(_add_outbox(stage, alarms))
    return rows


def _add_outbox(stage: Stage, alarms: Alarms) -> Row:
    """Add an alarm for notifications that no target accepts. Its metric costs $0.30 a month."""
    undelivered = cloudwatch.Metric(
        namespace=stage.metrics_namespace, metric_name="undelivered_seconds", statistic="max", period=MINUTE
    )
    alarms.add(
        "undelivered",
        metric=undelivered,
        threshold=_LATE_SECONDS,
        impact="Moderators don't hear of new comments: the oldest notification has waited for 15 minutes.",
        query="warnings and errors",
        section="undelivered-notifications",
    )
    pending = cloudwatch.LogQueryWidget(
        title="Pending comments, at most 100",
        log_group_names=[stage.app_log_group],
        query_lines=["filter ispresent(pending)", "stats max(pending) by bin(1m)"],
        view=cloudwatch.LogQueryVisualizationType.LINE,
        width=8,
        height=6,
    )
    return Row("Do moderators hear of comments?", (graph("Oldest notification, seconds", undelivered), pending))
