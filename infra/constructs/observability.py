"""What wakes people and what they read then: alarms, their topic, the dashboard and saved log queries."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.base import acknowledge
from infra.stages import Stage

MINUTE = cdk.Duration.minutes(1)
"""Every alarm's period. CDK's own is five minutes, and an alarm still firing fails the next deployment."""
_RUNBOOK = "docs/operations.md#"

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


class Alarms(Construct):
    """The topic and every alarm of a stage; $0.10 a month each."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.all: list[cloudwatch.Alarm] = []
        self.topic = sns.Topic(self, "Topic", topic_name=stage.alarm("alarms"), enforce_ssl=True)
        acknowledge(
            self.topic, {"CKV_AWS_26": "an alarm's text holds names and numbers only, and SNS keeps none of it"}
        )
        if stage.alarm_email:
            self.topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_email))

    def guard_deployments(self, load_balancer: elbv2.ApplicationLoadBalancer) -> tuple[cloudwatch.Alarm, ...]:
        """Return the alarms that roll a deployment back.

        They watch the load balancer, not one target group, so that they see whatever takes traffic. No data is good: an
        idle service must be deployable.
        """
        errors, latency = self._stage.deployment_alarms
        return (
            self._add(
                "Errors",
                name=errors,
                metric=load_balancer.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE),
                threshold=5,
                meaning="tasks answered 5xx",
                runbook="5xx",
            ),
            self._add(
                "Latency",
                name=latency,
                metric=load_balancer.metrics.target_response_time(statistic="p99", period=MINUTE),
                threshold=1,
                periods=2,
                meaning="one answer in a hundred took longer than a second",
                runbook="latency",
            ),
        )

    def watch_service(
        self,
        *,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
        service: ecs.FargateService,
    ) -> None:
        """Alarms for people: what the balancer could not pass on, tasks that stay unhealthy, no room left to scale."""
        requests = load_balancer.metrics.request_count(period=MINUTE)
        failed = load_balancer.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE)
        self._add(
            "ErrorRate",
            name=self._stage.alarm("error-rate"),
            metric=cloudwatch.MathExpression(
                expression="IF(requests >= 100, 100 * failed / requests, 0)",
                using_metrics={"failed": failed, "requests": requests},
                label="failed requests, percent",
                period=MINUTE,
            ),
            threshold=1,
            periods=5,
            meaning="for five minutes a hundredth of the requests failed",
            runbook="5xx",
        )
        self._add(
            "NotPassedOn",
            name=self._stage.alarm("balancer-5xx"),
            metric=load_balancer.metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
            threshold=5,
            meaning="the balancer found no task to answer",
            runbook="balancer-5xx",
        )
        self._add(
            "Unhealthy",
            name=self._stage.alarm("unhealthy"),
            metric=target_group.metrics.unhealthy_host_count(statistic="max", period=MINUTE),
            threshold=1,
            periods=5,
            meaning="a task has failed its health check for five minutes and was not replaced",
            runbook="unhealthy",
        )
        self._add(
            "Cpu",
            name=self._stage.alarm("cpu"),
            metric=service.metric_cpu_utilization(period=MINUTE),
            threshold=85,
            periods=10,
            meaning="scaling out has not helped for ten minutes: the stage's max_tasks may be reached",
            runbook="cpu",
        )

    def watch_table(self, table: dynamodb.ITable) -> None:
        """Throttling is what a hot thread looks like from outside."""
        for kind in ("Read", "Write"):
            self._add(
                f"{kind}Throttles",
                name=self._stage.alarm(f"{kind.lower()}-throttles"),
                metric=table.metric(f"{kind}ThrottleEvents", statistic="sum", period=MINUTE),
                threshold=1,
                periods=3,
                meaning=f"DynamoDB refused {kind.lower()}s of a thread that is too busy for one partition",
                runbook="throttles",
            )

    def _add(
        self,
        construct_id: str,
        *,
        name: str,
        metric: cloudwatch.IMetric,
        threshold: float,
        meaning: str,
        runbook: str,
        periods: int = 1,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=name,
            alarm_description=f"{meaning[0].upper()}{meaning[1:]}. See {_RUNBOOK}{runbook}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.all.append(alarm)
        return alarm


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
