"""What people read: a dashboard of the stage, and saved queries of its logs."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.alarms import MINUTE, Alarms
from infra.queries import QUERIES, readable

_WIDTH = 24  # CloudWatch: columns of a dashboard


class SavedQueries(Construct):
    """Logs Insights queries, from an alarm to the lines of the failing request; they cost nothing until run."""

    def __init__(self, scope: Construct, construct_id: str, *, folder: str, log_group_name: str) -> None:
        super().__init__(scope, construct_id)
        for name, query in QUERIES.items():
            logs.CfnQueryDefinition(
                self,
                name.title().replace(" ", ""),
                name=f"{folder}/{name}",
                query_string=readable(query),
                log_group_names=[log_group_name],
            )


class Dashboard(Construct):
    """One page for the on-call engineer: is it healthy, and if not, where; $3 a month after three free ones."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        alarms: Alarms,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_groups: Sequence[elbv2.ApplicationTargetGroup],
        service: ecs.FargateService,
        min_tasks: int,
        table: dynamodb.ITable | None,
        route_namespace: str | None,
        web_acl_metric: str | None,
    ) -> None:
        """What is None has no row: a table, metrics by route in a namespace, a web ACL by its metric's name."""
        super().__init__(scope, construct_id)
        self._board = cloudwatch.Dashboard(self, "Board", dashboard_name=name, default_interval=cdk.Duration.hours(3))
        alarm_row = cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms.all), width=_WIDTH, height=3)
        self._board.add_widgets(alarm_row)
        self._visitors(load_balancer)
        if route_namespace:
            self._routes(route_namespace)
        self._tasks(target_groups, service, min_tasks)
        if table:
            self._store(table)
        if web_acl_metric:
            self._entrance(web_acl_metric)

    def _row(self, question: str, *graphs: cloudwatch.GraphWidget) -> None:
        self._board.add_widgets(
            cloudwatch.TextWidget(
                markdown=f"### {question}",
                width=_WIDTH,
                height=1,
                background=cloudwatch.TextWidgetBackground.TRANSPARENT,
            )
        )
        self._board.add_widgets(*graphs)

    def _visitors(self, load_balancer: elbv2.ApplicationLoadBalancer) -> None:
        balancer = load_balancer.metrics
        self._row(
            "Do visitors get answers?",
            _graph("Requests a minute", balancer.request_count(period=MINUTE, label="requests")),
            _graph(
                "Failures a minute",
                balancer.http_code_target(
                    elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE, label="5xx of the tasks"
                ),
                balancer.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE, label="5xx of the balancer"),
            ),
            _graph(
                "Answer time, seconds",
                *(balancer.target_response_time(statistic=of, period=MINUTE, label=of) for of in ("p50", "p90", "p99")),
            ),
        )

    def _routes(self, namespace: str) -> None:
        """One line for each route that has been asked for, found by a search: a new one needs no deployment."""

        def search(metric: str, statistic: str) -> cloudwatch.MathExpression:
            found = f"SEARCH('{{\"{namespace}\",route}} MetricName=\"{metric}\"', '{statistic}', 60)"
            return cloudwatch.MathExpression(expression=found, using_metrics={}, label="", period=MINUTE)

        self._row(
            "If not, on which route?",
            _graph("Requests a minute, by route", search("duration_ms", "SampleCount")),
            _graph("Failures a minute, by route", search("failed", "Sum")),
            _graph("p99 in the task, milliseconds, by route", search("duration_ms", "p99")),
        )

    def _tasks(
        self, groups: Sequence[elbv2.ApplicationTargetGroup], service: ecs.FargateService, min_tasks: int
    ) -> None:
        counts: list[cloudwatch.IMetric] = []
        for group in groups:
            which = group.node.id.lower() if len(groups) > 1 else ""
            counts += [
                group.metrics.healthy_host_count(statistic="min", period=MINUTE, label=f"healthy {which}".strip()),
                group.metrics.unhealthy_host_count(statistic="max", period=MINUTE, label=f"unhealthy {which}".strip()),
            ]
        self._row(
            "Is it the tasks?",
            _graph("Tasks", *counts, at_least=min_tasks),
            _graph(
                "CPU, percent",
                *(service.metric_cpu_utilization(statistic=of, period=MINUTE, label=of) for of in ("avg", "max")),
            ),
            _graph(
                "Memory, percent",
                *(service.metric_memory_utilization(statistic=of, period=MINUTE, label=of) for of in ("avg", "max")),
            ),
        )

    def _store(self, table: dynamodb.ITable) -> None:
        def latency(operation: str) -> cloudwatch.Metric:
            return table.metric(
                "SuccessfulRequestLatency",
                dimensions_map={"TableName": table.table_name, "Operation": operation},
                statistic="p99",
                period=MINUTE,
                label=operation,
            )

        def events(suffix: str) -> list[cloudwatch.IMetric]:
            return [
                table.metric(f"{kind}{suffix}", statistic="sum", period=MINUTE, label=kind.removeprefix("Consumed"))
                for kind in (("ConsumedRead", "ConsumedWrite") if suffix == "CapacityUnits" else ("Read", "Write"))
            ]

        self._row(
            "Is it the table?",
            _graph("Throttled, a minute", *events("ThrottleEvents")),
            _graph("p99 of DynamoDB, milliseconds", latency("Query"), latency("PutItem")),
            _graph("Capacity units a minute", *events("CapacityUnits")),
        )

    def _entrance(self, web_acl_metric: str) -> None:
        def refused(rule: str, label: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AWS/WAFV2",
                metric_name="BlockedRequests",
                dimensions_map={"WebACL": web_acl_metric, "Region": cdk.Stack.of(self).region, "Rule": rule},
                statistic="sum",
                period=MINUTE,
                label=label,
            )

        self._row(
            "Or is somebody kept out?",
            _graph(
                "Refused by the web ACL, a minute",
                refused("ALL", "all"),
                refused("post-rate", "too many posts"),
                width=_WIDTH,
            ),
        )


def _graph(
    title: str, *metrics: cloudwatch.IMetric, at_least: int | None = None, width: int = 8
) -> cloudwatch.GraphWidget:
    minimum = cloudwatch.HorizontalAnnotation(value=at_least or 0, label="minimum")
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_annotations=[minimum] if at_least else [],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=width,
        height=6,
    )
