import pytest

from infra.stages import STAGES, Architecture
from tests.infra.synthesis import attributes, container, every, templates, the, variant

ALL = ["dev", "prod", "playground", "pr-4"]


@pytest.mark.parametrize("stage", ALL)
def test_a_deployment_keeps_all_tasks_until_their_successors_serve(stage: str) -> None:
    deployment = the(templates(stage).service, "AWS::ECS::Service")["DeploymentConfiguration"]
    assert deployment["MinimumHealthyPercent"] == 100
    assert deployment["MaximumPercent"] == 200


@pytest.mark.parametrize("stage", ALL)
def test_a_deployment_that_fails_or_alarms_is_rolled_back(stage: str) -> None:
    deployment = the(templates(stage).service, "AWS::ECS::Service")["DeploymentConfiguration"]
    assert deployment["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}
    names = [f"comments-{stage}-5xx", f"comments-{stage}-latency"]
    assert deployment["Alarms"] == {"AlarmNames": names, "Enable": True, "Rollback": True}


@pytest.mark.parametrize("stage", ALL)
def test_the_alarms_of_a_deployment_exist_before_the_service(stage: str) -> None:
    service = templates(stage).service
    (resource,) = service.find_resources("AWS::ECS::Service").values()
    for name in the(service, "AWS::ECS::Service")["DeploymentConfiguration"]["Alarms"]["AlarmNames"]:
        (logical,) = service.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"AlarmName": name}})
        assert logical in resource["DependsOn"]


def test_a_task_starts_only_when_it_may_pull_its_image_and_its_cluster_has_capacity() -> None:
    service = templates("dev").service
    (resource,) = service.find_resources("AWS::ECS::Service").values()
    execution = the(service, "AWS::ECS::TaskDefinition")["ExecutionRoleArn"]["Fn::GetAtt"][0]
    policies = service.find_resources("AWS::IAM::Policy")
    needed = [name for name, policy in policies.items() if {"Ref": execution} in policy["Properties"]["Roles"]]
    needed += service.find_resources("AWS::ECS::ClusterCapacityProviderAssociations")
    assert len(needed) == 2
    assert set(needed) <= set(resource["DependsOn"])


@pytest.mark.parametrize("stage", ALL)
def test_only_autoscaling_sets_the_number_of_tasks(stage: str) -> None:
    templated = templates(stage)
    assert "DesiredCount" not in the(templated.service, "AWS::ECS::Service")
    target = the(templated.service, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (templated.stage.min_tasks, templated.stage.max_tasks)
    metrics = {
        policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]["PredefinedMetricType"]
        for policy in every(templated.service, "AWS::ApplicationAutoScaling::ScalingPolicy")
    }
    assert {metric.removesuffix("HighResolution") for metric in metrics} == {
        "ECSServiceAverageCPUUtilization",
        "ALBRequestCountPerTarget",
    }


def test_prod_scales_by_a_metric_of_20_seconds() -> None:
    service = templates("prod").service
    asked = the(service, "AWS::ECS::Service")["Monitoring"]["MetricConfigurations"]
    assert asked == [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20}]
    (cpu,) = (
        policy["TargetTrackingScalingPolicyConfiguration"]
        for policy in every(service, "AWS::ApplicationAutoScaling::ScalingPolicy")
        if "CPU" in str(policy)
    )
    assert cpu["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "ECSServiceAverageCPUUtilizationHighResolution"
    }
    assert cpu["ScaleOutCooldown"] == 20


def test_other_stages_scale_by_the_free_metric() -> None:
    service = templates("dev").service
    assert "Monitoring" not in the(service, "AWS::ECS::Service")
    assert "HighResolution" not in str(every(service, "AWS::ApplicationAutoScaling::ScalingPolicy"))


@pytest.mark.parametrize("stage", ["prod", "playground"])
def test_a_stage_survives_the_loss_of_a_zone(stage: str) -> None:
    assert STAGES[stage].min_tasks >= 2
    assert the(templates(stage).service, "AWS::ECS::Service")["AvailabilityZoneRebalancing"] == "ENABLED"


def test_the_container_has_a_read_only_root_and_no_privileges() -> None:
    api = container(templates("dev").service)
    assert api["ReadonlyRootFilesystem"] is True
    assert api["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert not api["User"].startswith("0")
    assert "MountPoints" not in api
    assert the(templates("dev").service, "AWS::ECS::Service").get("EnableExecuteCommand") is not True


def test_requests_never_wait_for_the_log() -> None:
    options = container(templates("dev").service)["LogConfiguration"]["Options"]
    assert options["mode"] == "non-blocking"
    assert options["max-buffer-size"] == "10485760b"


def test_a_stage_can_use_arm_and_spot() -> None:
    stack = variant(architecture=Architecture.ARM64, spot_share=100).service
    assert the(stack, "AWS::ECS::TaskDefinition")["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    strategy = the(stack, "AWS::ECS::Service")["CapacityProviderStrategy"]
    assert [each["CapacityProvider"] for each in strategy] == ["FARGATE", "FARGATE_SPOT"]
    providers = the(stack, "AWS::ECS::ClusterCapacityProviderAssociations")["CapacityProviders"]
    assert {"FARGATE", "FARGATE_SPOT"} <= set(providers)


@pytest.mark.parametrize("share", [30, 100])
def test_spot_takes_its_share_beyond_the_first_task(share: int) -> None:
    on_demand, spot = the(variant(spot_share=share).service, "AWS::ECS::Service")["CapacityProviderStrategy"]
    assert on_demand == {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 100 - share}
    assert spot == {"CapacityProvider": "FARGATE_SPOT", "Weight": share}


def test_scaling_follows_the_fields_of_the_stage() -> None:
    service = variant(min_tasks=3, max_tasks=9, cpu_target=45, requests_per_target=1234).service
    target = the(service, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 9)
    values = {
        policy["PredefinedMetricSpecification"]["PredefinedMetricType"]: policy["TargetValue"]
        for policy in (
            each["TargetTrackingScalingPolicyConfiguration"]
            for each in every(service, "AWS::ApplicationAutoScaling::ScalingPolicy")
        )
    }
    assert values == {"ECSServiceAverageCPUUtilization": 45, "ALBRequestCountPerTarget": 1234}


def test_spot_can_be_switched_on_without_replacing_the_service() -> None:
    """Changing a launch type to a strategy would replace the service."""
    service = the(templates("dev").service, "AWS::ECS::Service")
    assert "LaunchType" not in service
    assert [each["CapacityProvider"] for each in service["CapacityProviderStrategy"]] == ["FARGATE"]


def test_a_new_image_is_deployed_within_four_minutes() -> None:
    """In the worst case: start, first health checks, draining, stopping, and the alarms that ECS waits for.

    All new tasks start at the same time, and a start takes at most the grace period.
    """
    service = templates("prod").service
    properties = the(service, "AWS::ECS::Service")
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    checks = group["HealthCheckIntervalSeconds"] * group["HealthyThresholdCount"]
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    names = properties["DeploymentConfiguration"]["Alarms"]["AlarmNames"]
    alarms = [the(service, "AWS::CloudWatch::Alarm", {"AlarmName": name}) for name in names]
    watched = max(alarm["Period"] * alarm["EvaluationPeriods"] for alarm in alarms)
    stop = container(service)["StopTimeout"]
    assert properties["HealthCheckGracePeriodSeconds"] + checks + drain + stop + watched < 240


def test_container_insights_are_off_unless_a_stage_asks_for_them() -> None:
    """Neither an alarm nor the dashboard uses them."""
    assert not [stage.name for stage in STAGES.values() if stage.container_insights]
    for templated, value in ((templates("prod"), "disabled"), (variant(container_insights=True), "enabled")):
        settings = the(templated.service, "AWS::ECS::Cluster")["ClusterSettings"]
        assert settings == [{"Name": "containerInsights", "Value": value}]
    for name in STAGES:
        assert "ECS/ContainerInsights" not in str(templates(name).service.to_json())
