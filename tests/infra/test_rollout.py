from dataclasses import replace
from typing import Any

import pytest
from aws_cdk.assertions import Template

from infra.options import Rollout
from infra.stages import STAGES
from tests.infra.synthesis import Templates, attributes, container, every, templates, templates_of, the

FOUR_MINUTES = 240


def canary() -> Templates:
    return templates_of(replace(STAGES["prod"], rollout=Rollout.CANARY))


def deployment_of(service: Template) -> dict[str, Any]:
    configuration: dict[str, Any] = the(service, "AWS::ECS::Service")["DeploymentConfiguration"]
    return configuration


def alarm_seconds(service: Template) -> int:
    """Return how long the slowest alarm of a deployment needs, which is how long ECS lets a rolling one bake."""
    slowest = 0
    for name in deployment_of(service)["Alarms"]["AlarmNames"]:
        alarm = the(service, "AWS::CloudWatch::Alarm", {"AlarmName": name})
        slowest = max(slowest, alarm["Period"] * alarm["EvaluationPeriods"])
    return slowest


def replacement_seconds(service: Template) -> int:
    """Return how long it takes to start new tasks, admit them, drain the old ones and stop them, at the worst.

    All new tasks start at once, since twice the number is allowed; a start takes at most the grace period.
    """
    assert deployment_of(service)["MaximumPercent"] == 200
    start = the(service, "AWS::ECS::Service")["HealthCheckGracePeriodSeconds"]
    group = every(service, "AWS::ElasticLoadBalancingV2::TargetGroup")[0]
    admit = group["HealthCheckIntervalSeconds"] * group["HealthyThresholdCount"]
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    stop = container(service)["StopTimeout"]
    return int(start + admit + drain + stop)


@pytest.mark.parametrize("stage", [*STAGES, "pr-3"])
def test_a_new_image_is_out_within_four_minutes(stage: str) -> None:
    service = templates(stage).service
    assert replacement_seconds(service) + alarm_seconds(service) < FOUR_MINUTES


def test_every_stage_replaces_task_by_task_unless_it_says_otherwise() -> None:
    assert {stage.rollout for stage in STAGES.values()} == {Rollout.ROLLING}
    assert deployment_of(templates("prod").service)["Strategy"] == "ROLLING"
    templates("prod").service.resource_count_is("AWS::ElasticLoadBalancingV2::ListenerRule", 0)


def test_a_canary_takes_a_tenth_and_waits_longer_than_its_alarms_need_before_each_step() -> None:
    deployment = deployment_of(canary().service)
    assert deployment["Strategy"] == "CANARY"
    step = deployment["CanaryConfiguration"]
    assert step["CanaryPercent"] == 10
    needed = alarm_seconds(canary().service)
    assert step["CanaryBakeTimeInMinutes"] * 60 > needed
    assert deployment["BakeTimeInMinutes"] * 60 > needed


def test_a_canary_shifts_the_weights_of_one_rule_that_takes_every_request() -> None:
    service = canary().service
    rule = the(service, "AWS::ElasticLoadBalancingV2::ListenerRule")
    assert rule["Conditions"] == [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/*"]}}]
    weighted = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
    assert [each["Weight"] for each in weighted] == [100, 0]
    (target,) = the(service, "AWS::ECS::Service")["LoadBalancers"]
    blue, green = (each["TargetGroupArn"] for each in weighted)
    assert target["TargetGroupArn"] == blue
    assert target["AdvancedConfiguration"]["AlternateTargetGroupArn"] == green
    (name,) = service.find_resources("AWS::ElasticLoadBalancingV2::ListenerRule")
    assert target["AdvancedConfiguration"]["ProductionListenerRule"] == {"Ref": name}


def test_a_canary_is_rolled_back_by_alarms_that_see_both_target_groups() -> None:
    service = canary().service
    (resource,) = service.find_resources("AWS::ECS::Service").values()
    alarms = deployment_of(service)["Alarms"]
    assert alarms == {"AlarmNames": ["comments-prod-5xx", "comments-prod-latency"], "Enable": True, "Rollback": True}
    for name in alarms["AlarmNames"]:
        (logical,) = service.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"AlarmName": name}})
        assert logical in resource["DependsOn"]
        dimensions = the(service, "AWS::CloudWatch::Alarm", {"AlarmName": name})["Dimensions"]
        assert [each["Name"] for each in dimensions] == ["LoadBalancer"]
    unhealthy = [each for each in every(service, "AWS::CloudWatch::Alarm") if "unhealthy" in each["AlarmName"]]
    assert len(unhealthy) == 2


def test_a_canary_scales_on_cpu_alone() -> None:
    """Requests per target are counted for one target group, which is the wrong one half of the time."""
    policy = the(canary().service, "AWS::ApplicationAutoScaling::ScalingPolicy")[
        "TargetTrackingScalingPolicyConfiguration"
    ]
    metric = policy["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert metric.startswith("ECSServiceAverageCPUUtilization")


@pytest.mark.parametrize("rollout", Rollout)
def test_no_rollout_says_how_many_tasks_there_are(rollout: Rollout) -> None:
    service = templates_of(replace(STAGES["prod"], rollout=rollout)).service
    properties = the(service, "AWS::ECS::Service")
    assert "DesiredCount" not in properties
    assert properties["AvailabilityZoneRebalancing"] == "ENABLED"
