"""What people read: a dashboard of the stage, and saved queries of its logs."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.alarms import MINUTE, Alarms

QUERIES = {
    "one request": 'filter request_id = "REQUEST-ID" | sort @timestamp asc',
    "failures": "filter status >= 500 | sort @timestamp desc | limit 100",
    "warnings and errors": 'filter level in ["warning", "error", "critical"] | sort @timestamp desc | limit 100',
    "slowest requests": "filter ispresent(duration_ms) | sort duration_ms desc | limit 50",
    "by route": "stats count(*) as requests, avg(duration_ms) as mean, pct(duration_ms, 99) as p99"
    " by method, route, status | sort requests desc",
}
"""Saved Logs Insights queries by name; the fields are those of the application's log lines."""
_FIELDS = "fields @timestamp, level, request_id, method, path, status, duration_ms, message"


class SavedQueries(Construct):
    """Logs Insights queries, from an alarm to the lines of the failing request; they cost nothing until run."""

    def __init__(self, scope: Construct, construct_id: str, *, folder: str, log_group_name: str) -> None:
        super().__init__(scope, construct_id)
        for name, query in QUERIES.items():
            shown = query if query.startswith("stats") else f"{_FIELDS} | {query}"
            logs.CfnQueryDefinition(
                self,
                name.title().replace(" ", ""),
                name=f"{folder}/{name}",
                query_string=shown.replace(" | ", "\n| "),
                log_group_names=[log_group_name],
            )


class Dashboard(Construct):
    """One page for the on-call engineer, in the order of the questions; $3 a month after three free ones."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        alarms: Alarms,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
        service: ecs.FargateService,
        table: dynamodb.ITable,
    ) -> None:
        super().__init__(scope, construct_id)
        balancer, target = load_balancer.metrics, target_group.metrics
        board = cloudwatch.Dashboard(self, "Board", dashboard_name=name, default_interval=cdk.Duration.hours(3))
        board.add_widgets(cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms.all), width=24, height=3))
        board.add_widgets(
            _graph("Requests a minute", balancer.request_count(period=MINUTE)),
            _graph(
                "Failures a minute",
                balancer.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE),
                balancer.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
            ),
            _graph(
                "Answer time, seconds",
                *(balancer.target_response_time(statistic=of, period=MINUTE) for of in ("p50", "p90", "p99")),
            ),
        )
        board.add_widgets(
            _graph(
                "Tasks",
                target.healthy_host_count(statistic="min", period=MINUTE),
                target.unhealthy_host_count(statistic="max", period=MINUTE),
            ),
            _graph(
                "CPU and memory, percent",
                service.metric_cpu_utilization(period=MINUTE),
                service.metric_memory_utilization(period=MINUTE),
            ),
            _graph(
                "DynamoDB throttles",
                *(table.metric(f"{kind}ThrottleEvents", statistic="sum", period=MINUTE) for kind in ("Read", "Write")),
            ),
        )


def _graph(title: str, *metrics: cloudwatch.IMetric) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)
