from dataclasses import replace

import pytest

from infra.options import Architecture
from infra.stages import STAGES
from tests.infra.synthesis import DIGEST, Templates, attributes, container, every, templates, templates_of, the

ALL = ["dev", "prod", "playground", "pr-4"]


@pytest.mark.parametrize("stage", ALL)
def test_the_image_is_named_by_its_digest(stage: str) -> None:
    """By `@`: behind `:` a registry would take the digest for a tag."""
    assert str(container(templates(stage).service)["Image"]).count(f"/comments@{DIGEST}") == 1


@pytest.mark.parametrize("stage", ALL)
def test_a_deployment_never_takes_a_task_away_before_its_successor_serves(stage: str) -> None:
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
def test_autoscaling_alone_says_how_many_tasks_there_are(stage: str) -> None:
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


def test_prod_sees_a_spike_by_values_of_20_seconds_and_acts_on_each() -> None:
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


def test_a_stage_that_does_not_ask_for_it_has_the_free_values_of_a_minute() -> None:
    service = templates("dev").service
    assert "Monitoring" not in the(service, "AWS::ECS::Service")
    assert "HighResolution" not in str(every(service, "AWS::ApplicationAutoScaling::ScalingPolicy"))


@pytest.mark.parametrize("stage", ["prod", "playground"])
def test_a_stage_outlives_the_loss_of_a_zone(stage: str) -> None:
    assert STAGES[stage].min_tasks >= 2
    assert the(templates(stage).service, "AWS::ECS::Service")["AvailabilityZoneRebalancing"] == "ENABLED"


def test_the_container_can_write_nowhere_and_has_no_privilege() -> None:
    api = container(templates("dev").service)
    assert api["ReadonlyRootFilesystem"] is True
    assert api["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert not api["User"].startswith("0")
    assert "MountPoints" not in api
    assert the(templates("dev").service, "AWS::ECS::Service").get("EnableExecuteCommand") is not True


def test_a_log_service_that_is_away_does_not_stop_the_api() -> None:
    options = container(templates("dev").service)["LogConfiguration"]["Options"]
    assert options["mode"] == "non-blocking"
    assert options["max-buffer-size"] == "10485760b"


def test_the_task_may_use_its_table_and_nothing_else() -> None:
    service = templates("dev").service
    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (policy,) = (each for each in every(service, "AWS::IAM::Policy") if {"Ref": task} in each["Roles"])
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == {f"dynamodb:{name}" for name in ("Query", "GetItem", "PutItem", "DeleteItem")}
    assert "table/comments-dev" in str(statement["Resource"])
    assert "*" not in str(statement["Resource"])


def test_a_check_tells_a_busy_task_from_a_dead_one() -> None:
    group = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    assert (group["HealthCheckIntervalSeconds"], group["HealthCheckTimeoutSeconds"]) == (5, 4)
    assert (group["HealthyThresholdCount"], group["UnhealthyThresholdCount"]) == (2, 5)
    assert group["Matcher"] == {"HttpCode": "200"}
    assert attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"] == "15"
    assert the(templates("dev").service, "AWS::ECS::Service")["HealthCheckGracePeriodSeconds"] == 30


def variant(**fields: object) -> Templates:
    return templates_of(replace(STAGES["dev"], **fields))  # type: ignore[arg-type]  # any field of the stage


def test_arm_and_spot_are_a_field_away() -> None:
    stack = variant(architecture=Architecture.ARM64, spot_share=100).service
    assert the(stack, "AWS::ECS::TaskDefinition")["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
    strategy = the(stack, "AWS::ECS::Service")["CapacityProviderStrategy"]
    assert [each["CapacityProvider"] for each in strategy] == ["FARGATE", "FARGATE_SPOT"]
    providers = the(stack, "AWS::ECS::ClusterCapacityProviderAssociations")["CapacityProviders"]
    assert {"FARGATE", "FARGATE_SPOT"} <= set(providers)


@pytest.mark.parametrize("share", [30, 100])
def test_beyond_the_first_task_spot_takes_its_share(share: int) -> None:
    on_demand, spot = the(variant(spot_share=share).service, "AWS::ECS::Service")["CapacityProviderStrategy"]
    assert on_demand == {"CapacityProvider": "FARGATE", "Base": 1, "Weight": 100 - share}
    assert spot == {"CapacityProvider": "FARGATE_SPOT", "Weight": share}


def test_scaling_follows_what_the_stage_says() -> None:
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


@pytest.mark.parametrize(("cpu", "workers"), [(256, None), (1024, None), (2048, "2"), (4096, "4")])
def test_a_task_of_several_cores_has_a_worker_for_each(cpu: int, workers: str | None) -> None:
    (container,) = the(variant(cpu=cpu, memory=8192).service, "AWS::ECS::TaskDefinition")["ContainerDefinitions"]
    environment = {each["Name"]: each["Value"] for each in container["Environment"]}
    assert environment.get("WEB_CONCURRENCY") == workers


def test_spot_can_be_switched_on_without_replacing_the_service() -> None:
    """A service changes between strategies in place, but from a launch type to a strategy it is made anew."""
    service = the(templates("dev").service, "AWS::ECS::Service")
    assert "LaunchType" not in service
    assert [each["CapacityProvider"] for each in service["CapacityProviderStrategy"]] == ["FARGATE"]


@pytest.mark.parametrize("stage", ALL)
def test_everything_says_what_it_belongs_to(stage: str) -> None:
    """Bills and clean-ups go by tags."""
    for template in (templates(stage).foundation, templates(stage).service):
        for kind in ("AWS::DynamoDB::Table", "AWS::ECS::Service", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
            for resource in template.find_resources(kind).values():
                tags = attributes(resource["Properties"], "Tags")
                assert tags["project"] == "comments"
                assert tags["stage"] == stage


def test_prod_cannot_be_deleted_by_a_slip() -> None:
    balancer = the(templates("prod").service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert attributes(balancer, "LoadBalancerAttributes")["deletion_protection.enabled"] == "true"
    other = the(templates("dev").service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    assert attributes(other, "LoadBalancerAttributes")["deletion_protection.enabled"] == "false"


def test_the_release_finds_the_address_and_the_digest() -> None:
    outputs = templates("dev").service.find_outputs("*")
    assert outputs["ImageDigest"]["Value"] == DIGEST
    assert outputs["BaseUrl"]["Value"]["Fn::Join"][1][0] == "http://"
