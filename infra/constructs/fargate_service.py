"""ECS service on Fargate: task definition, deployments without lost requests, and autoscaling."""

from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elbv2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs import cfn_resource
from infra.constructs.network import Network
from infra.findings import acknowledge
from infra.model import Stage, Workload

USER = "10001:10001"
"""Numeric, so that it needs no entry in /etc/passwd. The image sets the same user."""
LOG_BUFFER = cdk.Size.mebibytes(10)
"""Holds about 40,000 log lines while CloudWatch is unavailable. Then lines are dropped, but requests never wait."""
STOP_TIMEOUT = cdk.Duration.seconds(30)
"""From SIGTERM to SIGKILL; longer than gunicorn's graceful_timeout."""
GRACE_PERIOD = cdk.Duration.seconds(30)
"""How long a new task may fail health checks; the slowest measured start took 2.6 s."""
CPU_TARGET = 60
"""Percent. The rest is headroom for deployments, a lost task and bursts."""
FAILED_TASKS = 2
"""Consecutive tasks that don't become healthy before a deployment fails. AWS: three by default."""
SCALE_IN_COOLDOWN = cdk.Duration.minutes(5)
"""Scaling in too early is worse than keeping a task for longer."""
_STANDARD_SECONDS = 60
"""AWS: resolution of the free CPU metric."""


class ApiService(Construct):
    """Cluster, task definition and service; about $9 a month for each task of a quarter of a vCPU."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        workload: Workload,
        network: Network,
        image: ecs.ContainerImage,
        environment: Mapping[str, str],
        secrets: Mapping[str, ecs.Secret],
        log_group: logs.ILogGroup,
        rollback_alarms: Sequence[cloudwatch.Alarm],
        bake_minutes: int,
    ) -> None:
        """`rollback_alarms` must not use metrics of the service, which would be a circular dependency.

        A deployment fails if one of them fires within `bake_minutes` after its rollout.
        """
        super().__init__(scope, construct_id)
        self._stage = stage
        self.cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=stage.cluster,  # scaling, alarms and every `aws ecs` command refer to it
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.DISABLED,  # an account may enable it by default
            enable_fargate_capacity_providers=True,
        )
        acknowledge(self.cluster, {"ECS4": "alarms and dashboard use free metrics and the application's own"})
        self.task_definition = ecs.FargateTaskDefinition(
            self,
            "Task",
            family=stage.service,  # keeps the revision history if the construct is renamed
            cpu=stage.cpu,
            memory_limit_mib=stage.memory,
            runtime_platform=ecs.RuntimePlatform(
                cpu_architecture=ecs.CpuArchitecture.of(stage.architecture.name),
                operating_system_family=ecs.OperatingSystemFamily.LINUX,
            ),
        )
        acknowledge(self.task_definition, {"ECS2": "the variables contain no secrets; those come from Secrets Manager"})
        no_capabilities = ecs.LinuxParameters(self, "Linux")
        no_capabilities.drop_capabilities(ecs.Capability.ALL)
        self.task_definition.add_container(
            workload.container,
            image=image,
            user=USER,
            readonly_root_filesystem=True,
            linux_parameters=no_capabilities,
            port_mappings=[ecs.PortMapping(container_port=workload.port)],
            environment=dict(environment),
            secrets=dict(secrets),
            stop_timeout=STOP_TIMEOUT,
            logging=ecs.LogDrivers.aws_logs(
                stream_prefix=workload.container,  # release/logs.py reads a task's stream by its name
                log_group=log_group,
                mode=ecs.AwsLogDriverMode.NON_BLOCKING,
                max_buffer_size=LOG_BUFFER,
            ),
        )
        self.execution_role = self.task_definition.obtain_execution_role()
        self.security_group = ec2.SecurityGroup(
            self,
            "TaskSecurityGroup",
            vpc=network.vpc,
            description="Tasks: inbound from the load balancer, outbound to AWS over HTTPS",
            allow_all_outbound=False,
        )
        self.security_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.HTTPS, "AWS: DynamoDB, ECR, logs, secrets")
        self.service = ecs.FargateService(
            self,
            "Service",
            service_name=stage.service,  # the release and `aws ecs` commands refer to it
            cluster=self.cluster,
            task_definition=self.task_definition,
            deployment_strategy=ecs.DeploymentStrategy.ROLLING,
            # No desired_count: a deployment would reset the number that autoscaling has set.
            min_healthy_percent=100,
            max_healthy_percent=200,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            deployment_alarms=ecs.DeploymentAlarmConfig(
                alarm_names=[alarm.alarm_name for alarm in rollback_alarms],
                behavior=ecs.AlarmBehavior.ROLLBACK_ON_ALARM,
            ),
            # AWS: by default, by an unpublished formula. An explicit time raises CloudFormation's time limit for the
            # service to 36 hours; release/cancel.py ends rollouts without progress.
            bake_time=cdk.Duration.minutes(bake_minutes),
            health_check_grace_period=GRACE_PERIOD,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing.ENABLED,
            # A strategy instead of a launch type: switching between the two would replace the service.
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider="FARGATE", weight=1)],
            vpc_subnets=network.task_subnets,
            assign_public_ip=network.assign_public_ip,
            security_groups=[self.security_group],
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
            enable_ecs_managed_tags=True,
        )
        # The L2 construct doesn't support the property (aws-cdk#38243).
        cfn_resource(self.service).add_property_override(
            "DeploymentConfiguration.DeploymentCircuitBreaker.ThresholdConfiguration",
            {"Type": "COUNT", "Value": FAILED_TASKS},
        )
        # Create capacity providers before the service; delete them after it.
        self.service.node.add_dependency(self.cluster)
        # A task can't pull the image or read the secret before the execution role has its policy, or without a route to
        # AWS. The internet gateway can't be deleted while tasks have public addresses.
        self.service.node.add_dependency(self.execution_role, network)

    def scale(self, target_group: elbv2.ApplicationTargetGroup) -> None:
        """Scale by CPU and by requests; the policy that wants more tasks wins.

        CPU reacts first but can't exceed 100%, so each step adds at most two thirds. The request count arrives minutes
        later and shows how large the spike is.
        """
        stage = self._stage
        tasks = self.service.auto_scale_task_count(min_capacity=stage.min_tasks, max_capacity=stage.max_tasks)
        # Application Auto Scaling uses its service-linked role by default; setting it would require iam:PassRole.
        cfn_resource(tasks.node.find_child("Target")).add_property_deletion_override("RoleARN")
        tasks.scale_on_cpu_utilization(
            "Cpu",
            target_utilization_percent=CPU_TARGET,
            scale_out_cooldown=cdk.Duration.seconds(stage.cpu_seconds),
            scale_in_cooldown=SCALE_IN_COOLDOWN,
        )
        tasks.scale_on_request_count(
            "Requests",
            requests_per_target=stage.requests_per_target,
            target_group=target_group,
            scale_out_cooldown=cdk.Duration.minutes(1),
            scale_in_cooldown=SCALE_IN_COOLDOWN,
        )
        if stage.cpu_seconds == _STANDARD_SECONDS:
            return
        # Override properties that the L2 constructs don't support.
        cfn_resource(self.service).add_property_override(
            "Monitoring.MetricConfigurations",
            [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": stage.cpu_seconds}],
        )
        cfn_resource(tasks.node.find_child("Target").node.find_child("Cpu")).add_property_override(
            "TargetTrackingScalingPolicyConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
            "ECSServiceAverageCPUUtilizationHighResolution",
        )
