from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.stages import STAGES
from tests.infra.synthesis import NAT, attributes, container, every, templates, the

SERVICE = "AWS::ECS::Service"


def rollback_alarms(service: Template) -> dict[str, dict[str, Any]]:
    """Return the alarms that roll back a deployment, by name. References make ECS's service wait for them."""
    references = the(service, SERVICE)["DeploymentConfiguration"]["Alarms"]["AlarmNames"]
    alarms = [service.to_json()["Resources"][each["Ref"]]["Properties"] for each in references]
    return {alarm["AlarmName"]: alarm for alarm in alarms}


@pytest.mark.parametrize("stage", ["prod", "pr-1"])
def test_a_deployment_keeps_all_tasks_until_their_successors_serve_and_is_rolled_back_if_it_fails(stage: str) -> None:
    service = templates(stage).service
    deployment = the(service, SERVICE)["DeploymentConfiguration"]
    assert deployment == deployment | {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": {"Enable": True, "Rollback": True},
    }
    assert deployment["Alarms"] == deployment["Alarms"] | {"Enable": True, "Rollback": True}
    assert rollback_alarms(service).keys() == {f"comments-{stage}-5xx", f"comments-{stage}-latency"}


def test_a_service_waits_for_the_permissions_of_its_tasks_and_its_capacity() -> None:
    service = templates("prod").service
    execution = the(service, "AWS::ECS::TaskDefinition")["ExecutionRoleArn"]["Fn::GetAtt"][0]
    policies = service.find_resources("AWS::IAM::Policy")
    needed = [name for name, policy in policies.items() if {"Ref": execution} in policy["Properties"]["Roles"]]
    needed += service.find_resources("AWS::ECS::ClusterCapacityProviderAssociations")
    assert len(needed) == 2
    (resource,) = service.find_resources(SERVICE).values()
    assert set(needed) <= set(resource["DependsOn"])


def scaling(service: Template) -> dict[str, dict[str, Any]]:
    """Return the configuration of each scaling policy by its metric."""
    policies = every(service, "AWS::ApplicationAutoScaling::ScalingPolicy")
    found = [policy["TargetTrackingScalingPolicyConfiguration"] for policy in policies]
    return {each["PredefinedMetricSpecification"]["PredefinedMetricType"]: each for each in found}


def test_only_autoscaling_sets_the_number_of_tasks_by_the_fields_of_the_stage() -> None:
    service = templates(min_tasks=3, max_tasks=9, cpu_target=45, requests_per_target=1234).service
    assert "DesiredCount" not in the(service, SERVICE)
    target = the(service, "AWS::ApplicationAutoScaling::ScalableTarget")
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 9)
    values = {metric: policy["TargetValue"] for metric, policy in scaling(service).items()}
    assert values == {"ECSServiceAverageCPUUtilization": 45, "ALBRequestCountPerTarget": 1234}
    assert "Monitoring" not in the(service, SERVICE)


def test_prod_scales_by_a_cpu_metric_of_20_seconds_and_survives_the_loss_of_a_zone() -> None:
    prod = templates("prod").service
    asked = the(prod, SERVICE)["Monitoring"]["MetricConfigurations"]
    assert asked == [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20}]
    assert scaling(prod)["ECSServiceAverageCPUUtilizationHighResolution"]["ScaleOutCooldown"] == 20
    assert STAGES["prod"].min_tasks >= 2
    assert the(prod, SERVICE)["AvailabilityZoneRebalancing"] == "ENABLED"


def test_the_container_has_a_read_only_root_and_no_privileges_and_never_waits_for_the_log() -> None:
    service = templates("prod").service
    api = container(service)
    assert api["ReadonlyRootFilesystem"] is True
    assert api["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert not api["User"].startswith("0")
    assert "MountPoints" not in api
    assert the(service, SERVICE).get("EnableExecuteCommand") is not True
    assert api["LogConfiguration"]["Options"]["mode"] == "non-blocking"


def test_spot_takes_its_share_beyond_the_first_task() -> None:
    """Always as a strategy: changing a launch type to a strategy would replace the service."""
    for found, expected in (
        (templates("dev"), {"FARGATE": (0, 1)}),
        (templates(spot_share=30), {"FARGATE": (1, 70), "FARGATE_SPOT": (0, 30)}),
        (templates(NAT), {"FARGATE": (1, 0), "FARGATE_SPOT": (0, 100)}),
    ):
        strategy = the(found.service, SERVICE)["CapacityProviderStrategy"]
        assert {each["CapacityProvider"]: (each.get("Base", 0), each["Weight"]) for each in strategy} == expected


def test_arm_and_container_insights_are_options() -> None:
    """With Container Insights, ECS creates a log group that is never deleted."""
    default = "X86_64", "disabled"
    for stage, (architecture, insights) in {"dev": default, "pr-1": default, NAT: ("ARM64", "enabled")}.items():
        service = templates(stage).service
        assert the(service, "AWS::ECS::TaskDefinition")["RuntimePlatform"]["CpuArchitecture"] == architecture
        setting = {"Name": "containerInsights", "Value": insights}
        assert the(service, "AWS::ECS::Cluster")["ClusterSettings"] == [setting]


def test_a_new_image_is_deployed_within_four_minutes() -> None:
    """In the worst case: start, first health checks, draining, stopping, and the alarms that ECS waits for.

    All new tasks start at the same time, and a start takes at most the grace period.
    """
    service = templates("prod").service
    properties = the(service, SERVICE)
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    checks = group["HealthCheckIntervalSeconds"] * group["HealthyThresholdCount"]
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    watched = max(alarm["Period"] * alarm["EvaluationPeriods"] for alarm in rollback_alarms(service).values())
    stop = container(service)["StopTimeout"]
    assert properties["HealthCheckGracePeriodSeconds"] + checks + drain + stop + watched < 240
