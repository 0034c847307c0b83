from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.stages import STAGES, Architecture
from tests.infra.synthesis import attributes, container, every, templates, the, variant

ALL = ["dev", "prod", "playground", "pr-4"]


@pytest.mark.parametrize("stage", ALL)
def test_a_deployment_keeps_all_tasks_until_their_successors_serve_and_is_rolled_back_if_it_fails(stage: str) -> None:
    deployment = the(templates(stage).service, "AWS::ECS::Service")["DeploymentConfiguration"]
    assert (deployment["MinimumHealthyPercent"], deployment["MaximumPercent"]) == (100, 200)
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


def scaling(service: Template) -> dict[str, dict[str, Any]]:
    """Return the configuration of each scaling policy by its metric."""
    policies = every(service, "AWS::ApplicationAutoScaling::ScalingPolicy")
    found = [policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies]
    return {each["PredefinedMetricSpecification"]["PredefinedMetricType"]: each for each in found}


def test_only_autoscaling_sets_the_number_of_tasks_by_the_fields_of_the_stage() -> None:
    service = variant(min_tasks=3, max_tasks=9, cpu_target=45, requests_per_target=1234).service
    assert "DesiredCount" not in the(service, "AWS::ECS::Service")
    target = the(service, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 9)
    values = {metric: policy["TargetValue"] for metric, policy in scaling(service).items()}
    assert values == {"ECSServiceAverageCPUUtilization": 45, "ALBRequestCountPerTarget": 1234}


def test_prod_scales_by_a_cpu_metric_of_20_seconds_and_other_stages_by_the_free_one() -> None:
    prod, dev = templates("prod").service, templates("dev").service
    asked = the(prod, "AWS::ECS::Service")["Monitoring"]["MetricConfigurations"]
    assert asked == [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20}]
    assert scaling(prod)["ECSServiceAverageCPUUtilizationHighResolution"]["ScaleOutCooldown"] == 20
    assert "Monitoring" not in the(dev, "AWS::ECS::Service")
    assert scaling(dev).keys() == {"ECSServiceAverageCPUUtilization", "ALBRequestCountPerTarget"}


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


def test_a_stage_can_use_arm() -> None:
    task = the(variant(architecture=Architecture.ARM64).service, "AWS::ECS::TaskDefinition")
    assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"


@pytest.mark.parametrize("share", [0, 30, 100])
def test_spot_takes_its_share_beyond_the_first_task(share: int) -> None:
    """Always as a strategy: changing a launch type to a strategy would replace the service."""
    service = variant(spot_share=share).service
    strategy = the(service, "AWS::ECS::Service")["CapacityProviderStrategy"]
    if not share:
        assert strategy == [{"CapacityProvider": "FARGATE", "Weight": 1}]
    else:
        assert strategy == [
            {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 100 - share},
            {"CapacityProvider": "FARGATE_SPOT", "Weight": share},
        ]
    providers = the(service, "AWS::ECS::ClusterCapacityProviderAssociations")["CapacityProviders"]
    assert {"FARGATE", "FARGATE_SPOT"} <= set(providers)


def test_container_insights_are_off_unless_a_stage_asks_for_them() -> None:
    for templated, value in ((templates("prod"), "disabled"), (variant(container_insights=True), "enabled")):
        settings = the(templated.service, "AWS::ECS::Cluster")["ClusterSettings"]
        assert settings == [{"Name": "containerInsights", "Value": value}]


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
