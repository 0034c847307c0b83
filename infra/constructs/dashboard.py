"""CloudWatch dashboard of a stage, and saved queries for its logs."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.alarms import MINUTE
from infra.model import Stage, Workload

_COLUMNS = 24
"""CloudWatch: width of the dashboard grid."""


class Row(NamedTuple):
    """A question, and the graphs that answer it."""

    question: str
    graphs: Sequence[cloudwatch.IWidget]


class SavedQueries(Construct):
    """Saved Logs Insights queries. Free until they run."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, queries: Mapping[str, str]) -> None:
        super().__init__(scope, construct_id)
        for name, query in queries.items():
            logs.CfnQueryDefinition(
                self,
                name.title().replace(" ", ""),
                name=f"{stage.service}/{name}",
                query_string=query.replace(" | ", "\n| "),  # one command per line, for Insights' editor
                log_group_names=[stage.app_log_group],
            )


class Dashboard(Construct):
    """Dashboard that shows whether the service is healthy, and where a problem is. $3 a month; three are free."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        workload: Workload,
        alarms: Sequence[cloudwatch.Alarm],
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
        service: ecs.FargateService,
        rows: Sequence[Row],
    ) -> None:
        """`rows` are those of the workload's resources."""
        super().__init__(scope, construct_id)
        self._board = cloudwatch.Dashboard(
            self, "Board", dashboard_name=stage.service, default_interval=cdk.Duration.hours(3)
        )
        self._board.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=_COLUMNS, height=3)
        )
        requests, targets = load_balancer.metrics, target_group.metrics
        self._add_row(
            "Do clients get responses?",
            graph("Requests per minute", requests.request_count(period=MINUTE, label="requests")),
            graph(
                "Failures per minute",
                requests.http_code_target(
                    elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE, label="5xx of the tasks"
                ),
                requests.http_code_elb(
                    elbv2.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE, label="5xx of the load balancer"
                ),
            ),
            graph(
                "Response time, seconds",
                *(requests.target_response_time(statistic=of, period=MINUTE, label=of) for of in ("p50", "p90", "p99")),
            ),
        )
        if stage.route_metrics and workload.metrics_variable:
            namespace = stage.metrics_namespace
            self._add_row(
                "If not, on which route?",
                graph("Requests per minute, by route", _by_route(namespace, "duration_ms", "SampleCount")),
                graph("Failures per minute, by route", _by_route(namespace, "failed", "Sum")),
                graph("p99 in the task, milliseconds, by route", _by_route(namespace, "duration_ms", "p99")),
            )
        self._add_row(
            "Is it the tasks?",
            graph(
                "Tasks",
                targets.healthy_host_count(statistic="min", period=MINUTE, label="healthy"),
                targets.unhealthy_host_count(statistic="max", period=MINUTE, label="unhealthy"),
                at_least=stage.min_tasks,
            ),
            graph(
                "CPU, percent",
                *(service.metric_cpu_utilization(statistic=of, period=MINUTE, label=of) for of in ("avg", "max")),
            ),
            graph(
                "Memory, percent",
                *(service.metric_memory_utilization(statistic=of, period=MINUTE, label=of) for of in ("avg", "max")),
            ),
        )
        for row in rows:
            self._add_row(row.question, *row.graphs)
        if stage.web_acl:
            region = cdk.Stack.of(self).region
            self._add_row(
                "Are clients blocked?",
                graph(
                    "Blocked by the web ACL per minute",
                    *(
                        cloudwatch.Metric(
                            namespace="AWS/WAFV2",
                            metric_name="BlockedRequests",
                            dimensions_map={"WebACL": stage.service, "Region": region, "Rule": rule},
                            statistic="sum",
                            period=MINUTE,
                            label=label,
                        )
                        for rule, label in (("ALL", "all"), ("post-rate", "too many posts"))
                    ),
                    width=_COLUMNS,
                ),
            )

    def _add_row(self, question: str, *graphs: cloudwatch.IWidget) -> None:
        heading = cloudwatch.TextWidget(
            markdown=f"### {question}", width=_COLUMNS, height=1, background=cloudwatch.TextWidgetBackground.TRANSPARENT
        )
        self._board.add_widgets(heading)
        self._board.add_widgets(*graphs)


def _by_route(namespace: str, metric: str, statistic: str) -> cloudwatch.MathExpression:
    """Return a line per route. The search includes new routes without a deployment."""
    found = f"SEARCH('{{\"{namespace}\",route}} MetricName=\"{metric}\"', '{statistic}', 60)"
    return cloudwatch.MathExpression(expression=found, using_metrics={}, label="", period=MINUTE)


def graph(
    title: str, *metrics: cloudwatch.IMetric, at_least: int | None = None, width: int = 8
) -> cloudwatch.GraphWidget:
    """Return a graph from zero, by default as wide as a third of the dashboard, with a line at `at_least`."""
    minimum = cloudwatch.HorizontalAnnotation(value=at_least or 0, label="minimum")
    return cloudwatch.GraphWidget(
        title=title,
        left=list(metrics),
        left_annotations=[minimum] if at_least else [],
        left_y_axis=cloudwatch.YAxisProps(min=0),
        width=width,
        height=6,
    )
