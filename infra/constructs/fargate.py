"""The service: a Fargate task of the API, how it is replaced without losing a request, and how many of it there are."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.base import acknowledge
from infra.constructs.network import HTTPS, Network
from infra.constructs.rollout import RolloutPlan
from infra.options import Architecture
from infra.stages import Stage

CONTAINER = "api"
PORT = 8000
USER = "10001:10001"
"""Numeric, so that it needs no /etc/passwd; nobody on the host has it."""

LOG_BUFFER = cdk.Size.mebibytes(10)
"""Log lines waiting for CloudWatch, about 20,000. When the buffer is full, new lines are dropped."""
STOP_TIMEOUT = cdk.Duration.seconds(30)
"""From SIGTERM to SIGKILL; more than gunicorn's graceful_timeout."""
GRACE_PERIOD = cdk.Duration.seconds(30)
"""How long a new task may fail its checks: AWS counts from its start, and the slowest measured start is 2.6 s."""

STANDARD_SECONDS = 60
"""Between two values of CPU, unless the service says otherwise."""


class ApiService(Construct):
    """The cluster, the task and its service; about $9 a month for each task of a quarter of a vCPU."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: Network,
        image: ecs.ContainerImage,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_group: logs.ILogGroup,
        rollout: RolloutPlan,
    ) -> None:
        super().__init__(scope, construct_id)
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=stage.cluster,
            vpc=network.vpc,
            container_insights_v2=(
                ecs.ContainerInsights.ENABLED if stage.container_insights else ecs.ContainerInsights.DISABLED
            ),
            enable_fargate_capacity_providers=True,
        )
        if not stage.container_insights:
            reason = "alarms and dashboard do without: CPU, memory and the number of tasks are free metrics"
            acknowledge(self.cluster, {"AwsSolutions-ECS4": reason, "CKV_AWS_65": reason})
        self.task_definition = self._task(stage, image, environment, secrets, log_group)
        self.security_group = ec2.SecurityGroup(
            self,
            "TaskSecurityGroup",
            vpc=network.vpc,
            description="Tasks: in from the balancer, out to AWS by HTTPS",
            allow_all_outbound=False,
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS: DynamoDB, ECR, logs, secrets")
        self.service = ecs.FargateService(
            self,
            "Service",
            service_name=stage.service,
            cluster=self.cluster,
            task_definition=self.task_definition,
            deployment_strategy=rollout.strategy,
            canary_configuration=rollout.shift,
            bake_time=rollout.bake,
            # No desired_count: a deployment would reset what autoscaling chose.
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=list(stage.deployment_alarms), behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM
            ),
            health_check_grace_period=GRACE_PERIOD,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            capacity_provider_strategies=_capacity(spot_share=stage.spot_share),
            vpc_subnets=network.task_subnets,
            assign_public_ip=network.assign_public_ip,
            security_groups=[self.security_group],
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            enable_ecs_managed_tags=True,
        )
        # The cluster with its capacity providers first, and gone last: in use they can be neither missing nor removed.
        self.service.node.add_dependency(self.cluster)
        # The execution role with its policy: a task that starts before may not pull its image or read its secret.
        self.service.node.add_dependency(self.task_definition.obtain_execution_role())

    def _task(
        self,
        stage: Stage,
        image: ecs.ContainerImage,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_group: logs.ILogGroup,
    ) -> ecs.FargateTaskDefinition:
        task = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=stage.service,
            cpu=stage.cpu,
            memory_limit_mib=stage.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=_CPU[stage.architecture], operating_system_family=ecs.OperatingSystemFamily.LINUX
            ),
        )
        no_capabilities = ecs.LinuxParameters(self, "Linux")
        no_capabilities.drop_capabilities(ecs.Capability.ALL)
        task.add_container(
            CONTAINER,
            image=image,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=no_capabilities,
            port_mappings=[ecs.PortMapping(container_port=PORT)],
            environment=dict(environment),
            secrets=dict(secrets),
            stop_timeout=STOP_TIMEOUT,
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=CONTAINER,
                log_group=log_group,
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=LOG_BUFFER,
            ),
        )
        acknowledge(task, {"AwsSolutions-ECS2": "names and numbers; secrets come from Secrets Manager"})
        return task

    def scale(self, *, stage: Stage, target_groups: Sequence[elbv2.ApplicationTargetGroup]) -> None:
        """Follow CPU and requests; out with each value, in after five minutes: a wrong step in costs more than a task.

        CPU is quick but ends at 100 %, so it adds two thirds at a time; requests tell the height of a spike, minutes
        later. They are counted for one target group: with two that take turns, CPU alone is followed.
        """
        tasks = self.service.auto_scale_task_count(min_capacity=stage.min_tasks, max_capacity=stage.max_tasks)
        tasks.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=stage.cpu_target,
            scale_out_cooldown=cdk.Duration.seconds(stage.cpu_seconds),
            scale_in_cooldown=cdk.Duration.minutes(5),
        )
        if stage.cpu_seconds != STANDARD_SECONDS:
            self._watch_cpu_closely(tasks, stage.cpu_seconds)
        if len(target_groups) == 1:
            tasks.scale_on_request_count(
                "Requests",
                requests_per_target=stage.requests_per_target,
                target_group=target_groups[0],
                scale_out_cooldown=cdk.Duration.minutes(1),
                scale_in_cooldown=cdk.Duration.minutes(5),
            )

    def _watch_cpu_closely(self, tasks: ecs.ScalableTaskCount, seconds: int) -> None:
        """Say in CloudFormation's words what the constructs have no words for yet."""
        metric = "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.PredefinedMetricType"
        policy = tasks.node.find_child("Target").node.find_child("Cpu").node.default_child
        for resource, path, value in (
            (
                self.service.node.default_child,
                "Monitoring.MetricConfigurations",
                [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": seconds}],
            ),
            (policy, metric, "ECSServiceAverageCPUUtilizationHighResolution"),
        ):
            if not isinstance(resource, cdk.CfnResource):
                raise TypeError(f"{path} has no CloudFormation resource to stand in")
            resource.add_property_override(path, value)


_CPU = {
    Architecture.X86_64: ecs.CpuArchitecture.X86_64,
    Architecture.ARM64: ecs.CpuArchitecture.ARM64,
}


def _capacity(*, spot_share: int) -> list[ecs.CapacityProviderStrategy]:
    """Always a strategy, never a launch type: changing one for the other would replace the service."""
    if not spot_share:
        return [ecs.CapacityProviderStrategy(capacity_provider="FARGATE", weight=1)]
    return [
        ecs.CapacityProviderStrategy(capacity_provider="FARGATE", base=1, weight=100 - spot_share),
        ecs.CapacityProviderStrategy(capacity_provider="FARGATE_SPOT", weight=spot_share),
    ]
