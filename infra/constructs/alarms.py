"""CloudWatch alarms and their SNS topic."""

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.model import Stage, Workload, camel_case

MINUTE = cdk.Duration.minutes(1)
"""Period of the alarms on AWS's metrics. CDK's default is five minutes, which is too long for deployment alarms."""
FAILED_PERIOD = cdk.Duration.seconds(10)
"""AWS: the shortest period of an alarm."""

MIN_REQUESTS = 100
"""Requests in a minute below which shares and percentiles don't count: one slow request would be 1% of them. A release
sends more (PROBE_SECONDS in release/watch.py)."""


class Alarms(Construct):
    """Alarms of a stage, $0.10 a month each, and the SNS topic that they notify when they enter ALARM and OK."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage, workload: Workload) -> None:
        """Create the topic."""
        super().__init__(scope, construct_id)
        self._stage = stage
        self._prefix = stage.service  # people read the names of alarms in notifications
        self._subject = camel_case(workload.name)
        self._queries = workload.queries
        # A page with a section for each alarm; a link if the repository is known.
        page = "docs/operations.md"
        self._runbook = f"https://github.com/{stage.github.name}/blob/main/{page}" if stage.github else page
        self.all: list[cloudwatch.Alarm] = []
        self._topic = sns.Topic(self, "Topic", enforce_ssl=True)
        # This policy replaces the default one, which allows alarms to publish.
        self._topic.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowAlarms",
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[self._topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": cdk.Stack.of(self).account}},
            )
        )
        if stage.alarm_address:
            self._topic.add_subscription(subscriptions.EmailSubscription(stage.alarm_address))

    def add_deployment_alarms(
        self, load_balancer: elbv2.ApplicationLoadBalancer, *, failed_namespace: str | None
    ) -> tuple[cloudwatch.Alarm, ...]:
        """Add and return the alarms that roll back a deployment: `5xx`, `latency` and, with a namespace, `failed`.

        `failed_namespace` has the application's own metric, which arrives minutes before those of the load balancer.
        AWS: if one of them is in ALARM when a deployment starts, ECS monitors none of them for that deployment. Missing
        data is not breaching, so that a service without traffic can be deployed.
        """
        requests = load_balancer.metrics.request_count(period=MINUTE)
        p99 = load_balancer.metrics.target_response_time(statistic="p99", period=MINUTE)
        return (
            self.add(
                "5xx",
                construct_id="Errors",
                metric=load_balancer.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE),
                threshold=5,
                impact="Visitors see errors: the application sent at least five 5xx responses in a minute.",
                query="failures",
            ),
            self.add(
                "latency",
                metric=_with_enough_requests("p99", label="p99, seconds", p99=p99, requests=requests),
                threshold=1,
                periods=2,
                impact="Pages load slowly: at least 1% of requests take longer than a second.",
                query="slowest routes",
            ),
            *([self._add_failed(failed_namespace)] if failed_namespace else []),
        )

    def _add_failed(self, namespace: str) -> cloudwatch.Alarm:
        return self.add(
            "failed",
            metric=cloudwatch.Metric(namespace=namespace, metric_name="failed", statistic="sum", period=FAILED_PERIOD),
            threshold=3,
            impact="Visitors see errors: at least three requests failed in ten seconds.",
            query="failures",
            section="5xx",
        )

    def add_service_alarms(
        self,
        *,
        load_balancer: elbv2.ApplicationLoadBalancer,
        target_group: elbv2.ApplicationTargetGroup,
        service: ecs.FargateService,
    ) -> None:
        """Add alarms for failed requests and unhealthy, missing or overloaded tasks."""
        requests = load_balancer.metrics.request_count(period=MINUTE)
        failed = load_balancer.metrics.http_code_target(elbv2.HttpCodeTarget.TARGET_5XX_COUNT, period=MINUTE)
        self.add(
            "error-rate",
            metric=_with_enough_requests(
                "100 * failed / requests", label="failed requests, percent", failed=failed, requests=requests
            ),
            threshold=1,
            periods=5,
            impact="Visitors see errors: for five minutes, at least 1% of requests have failed.",
            query="failures",
            section="5xx",
        )
        self.add(
            "load-balancer-5xx",
            construct_id="NotPassedOn",
            metric=load_balancer.metrics.http_code_elb(elbv2.HttpCodeElb.ELB_5XX_COUNT, period=MINUTE),
            threshold=5,
            impact="Visitors see errors: the load balancer got no valid response from the tasks.",
        )
        self.add(
            "unhealthy",
            metric=target_group.metrics.unhealthy_host_count(statistic="max", period=MINUTE),
            threshold=1,
            periods=5,
            impact="Some requests may fail or hang: a task has failed its health check for five minutes.",
        )
        self.add(
            "tasks",
            # AWS: each running task sends one value a minute, so the sample count is the number of tasks. CPU
            # utilization isn't used because its resolution may be higher.
            metric=service.metric_memory_utilization(statistic="n", period=MINUTE),
            threshold=self._stage.min_tasks,
            periods=5,
            impact=f"{self._subject} may be slow or down: fewer than {self._stage.min_tasks} tasks have been running"
            " for five minutes.",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing_data=cloudwatch.TreatMissingData.BREACHING,  # without tasks there is no data
        )
        self.add(
            "cpu",
            metric=service.metric_cpu_utilization(period=MINUTE),
            threshold=85,
            periods=10,
            impact=f"{self._subject} may become slow: CPU has been above 85% for ten minutes despite autoscaling.",
            query="responses by route",
        )
        self.add(
            "memory",
            metric=service.metric_memory_utilization(statistic="max", period=MINUTE),
            threshold=85,
            periods=10,
            impact="Some requests will fail if memory use keeps growing: a task uses 85% and is killed at 100%.",
            query="deployment",
        )

    def add_failed_deployment_rule(self) -> None:
        """Notify the topic of failed deployments. ECS has no metric for them, only an event."""
        service = f"{self._prefix}/{self._prefix}"
        arn = cdk.Stack.of(self).format_arn(service="ecs", resource="service", resource_name=service)
        reason = events.EventField.from_path("$.detail.reason")
        impact = "A deployment failed, and ECS is rolling back to the previous version."
        description = self._describe(impact, "deployment", "failed-deployment")
        events.Rule(
            self,
            "FailedDeployment",
            description=description,  # EventBridge: at most 512 characters
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=[arn],
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
            targets=[
                events_targets.SnsTopic(
                    self._topic, message=events.RuleTargetInput.from_text(f"{self._prefix}: {reason}. {description}")
                )
            ],
        )

    def add(
        self,
        subject: str,
        *,
        construct_id: str | None = None,
        metric: cloudwatch.IMetric,
        threshold: float,
        impact: str,
        query: str | None = None,
        section: str | None = None,
        periods: int = 1,
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        missing_data: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        """Add an alarm.

        `impact` describes the effect on users, `query` the saved query to run first, if the workload has it. Construct
        and `section` of the runbook are by default named after `subject`.
        """
        alarm = cloudwatch.Alarm(
            self,
            construct_id or subject.title().replace("-", ""),
            alarm_name=f"{self._prefix}-{subject}",
            alarm_description=self._describe(impact, query, section or subject),
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=missing_data,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        alarm.add_ok_action(actions.SnsAction(self._topic))
        self.all.append(alarm)
        return alarm

    def _describe(self, impact: str, query: str | None, section: str) -> str:
        """Describe an alarm. Without a query, the first command to run prints the latest events of the ECS service."""
        service = f"--cluster {self._prefix} --services {self._prefix} --query 'services[0].events[:5].message'"
        first = f"aws ecs describe-services {service}"
        if query in self._queries:
            first = f"make logs ENV={self._stage.name} QUERY='{query}'"
        return f"{impact} Run first: {first} Then: {self._runbook}#{section}"


def _with_enough_requests(value: str, *, label: str, **metrics: cloudwatch.IMetric) -> cloudwatch.MathExpression:
    """Return a value of each minute, or 0 in one with fewer than MIN_REQUESTS `requests`."""
    expression = f"IF(requests >= {MIN_REQUESTS}, {value}, 0)"
    return cloudwatch.MathExpression(expression=expression, using_metrics=metrics, label=label, period=MINUTE)
