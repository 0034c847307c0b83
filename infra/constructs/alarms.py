"""What wakes people: every alarm of a stage, and the topic that they speak to."""

from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as events_targets
from constructs import Construct

from infra.constructs.topic import alarm_topic
from infra.stages import Stage

MINUTE = cdk.Duration.minutes(1)
"""Every alarm's period. CDK's own is five minutes, and an alarm still firing fails the next deployment."""
_RUNBOOK = "docs/operations.md#"
_DEPLOYMENT = "failed-deployment"


class Alarms(Construct):
    """The topic and every alarm of a stage; $0.10 a month each."""

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self.all: list[cloudwatch.Alarm] = []
        self.topic = alarm_topic(self, name=stage.alarm("alarms"), email=stage.alarm_email)

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
        target_groups: Sequence[elbv2.ApplicationTargetGroup],
        service: ecs.FargateService,
    ) -> None:
        """Alarms for people: what the balancer could not pass on, what is wrong with the tasks."""
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
        for index, target_group in enumerate(target_groups):
            suffix = f"-{index + 1}" if index else ""
            self._add(
                f"Unhealthy{suffix}",
                name=self._stage.alarm(f"unhealthy{suffix}"),
                metric=target_group.metrics.unhealthy_host_count(statistic="max", period=MINUTE),
                threshold=1,
                periods=5,
                meaning="a task has failed its health check for five minutes and was not replaced",
                runbook="unhealthy",
            )
        self._watch_tasks(service)

    def _watch_tasks(self, service: ecs.FargateService) -> None:
        self._add(
            "Tasks",
            name=self._stage.alarm("tasks"),
            # Each running task sends one value a minute; AWS: "number of RUNNING tasks" is their count. Not of CPU:
            # a stage may ask for that more often.
            metric=service.metric_memory_utilization(statistic="n", period=MINUTE),
            threshold=self._stage.min_tasks,
            periods=5,
            meaning=f"for five minutes fewer than {self._stage.min_tasks} tasks have been running",
            runbook="tasks",
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            silence=cloudwatch.TreatMissingData.BREACHING,  # no task at all says nothing
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
        self._add(
            "Memory",
            name=self._stage.alarm("memory"),
            metric=service.metric_memory_utilization(statistic="max", period=MINUTE),
            threshold=85,
            periods=10,
            meaning="a task has used 85 % of its memory for ten minutes: at 100 % it is killed",
            runbook="memory",
        )

    def watch_deployments(self) -> None:
        """Tell of a failed deployment, whoever started it: ECS says so as an event, not as a metric."""
        stack = cdk.Stack.of(self)
        service_arn = stack.format_arn(
            service="ecs", resource="service", resource_name=f"{self._stage.cluster}/{self._stage.service}"
        )
        reason = events.EventField.from_path("$.detail.reason")
        text = f"{self._stage.service}: a deployment failed and is rolled back. {reason}. See {_RUNBOOK}{_DEPLOYMENT}"
        events.Rule(
            self,
            "FailedDeployment",
            rule_name=self._stage.alarm(_DEPLOYMENT),
            description=f"A deployment failed. See {_RUNBOOK}{_DEPLOYMENT}",
            event_pattern=events.EventPattern(
                source=["aws.ecs"],
                detail_type=["ECS Deployment State Change"],
                resources=[service_arn],
                detail={"eventName": ["SERVICE_DEPLOYMENT_FAILED"]},
            ),
            targets=[events_targets.SnsTopic(self.topic, message=events.RuleTargetInput.from_text(text))],
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
        comparison: cloudwatch.ComparisonOperator = cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
        silence: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_name=name,
            alarm_description=f"{meaning[0].upper()}{meaning[1:]}. See {_RUNBOOK}{runbook}",
            metric=metric,
            threshold=threshold,
            evaluation_periods=periods,
            comparison_operator=comparison,
            treat_missing_data=silence,
        )
        alarm.add_alarm_action(actions.SnsAction(self.topic))
        self.all.append(alarm)
        return alarm
