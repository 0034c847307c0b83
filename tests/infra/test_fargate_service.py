from aws_cdk.assertions import Match

from tests.infra.synthesis import container, templates, the

SERVICE = "AWS::ECS::Service"


def test_a_deployment_keeps_all_tasks_until_their_successors_serve_and_is_rolled_back_if_it_fails() -> None:
    service = templates("prod").service
    names = Match.string_like_regexp("^notes-prod-(5xx|latency|failed)$")
    alarms = service.find_resources("AWS::CloudWatch::Alarm", {"Properties": {"AlarmName": names}})
    assert len(alarms) == 3
    rolls_back = {"Enable": True, "Rollback": True}
    deployment = {
        "MinimumHealthyPercent": 100,
        "MaximumPercent": 200,
        "DeploymentCircuitBreaker": rolls_back | {"ThresholdConfiguration": {"Type": "COUNT", "Value": 2}},
        "Alarms": rolls_back | {"AlarmNames": [{"Ref": alarm} for alarm in alarms]},
        "BakeTimeInMinutes": 1,
    }
    zones = {"AvailabilityZoneRebalancing": "ENABLED"}
    service.has_resource_properties(SERVICE, {"DeploymentConfiguration": deployment} | zones)
    slower = the(templates("dev", route_metrics=False).service, SERVICE)["DeploymentConfiguration"]
    assert slower["BakeTimeInMinutes"] == 3, "without the service's own metric, alarms get their data later"
    assert len(slower["Alarms"]["AlarmNames"]) == 2


def test_a_service_waits_for_the_permissions_of_its_tasks_and_its_capacity() -> None:
    service = templates("prod").service
    execution = the(service, "AWS::ECS::TaskDefinition")["ExecutionRoleArn"]["Fn::GetAtt"][0]
    needed = [
        *service.find_resources("AWS::IAM::Policy", {"Properties": {"Roles": [{"Ref": execution}]}}),
        *service.find_resources("AWS::ECS::ClusterCapacityProviderAssociations"),
    ]
    assert len(needed) == 2
    (resource,) = service.find_resources(SERVICE).values()
    assert set(needed) <= set(resource["DependsOn"])


def test_only_autoscaling_sets_the_number_of_tasks_by_the_fields_of_the_stage() -> None:
    service = templates(min_tasks=3, max_tasks=9, cpu_seconds=20, requests_per_target=1234).service
    measured = {"MetricConfigurations": [{"MetricNames": ["CPUUtilization"], "ResolutionSeconds": 20}]}
    service.has_resource_properties(SERVICE, {"DesiredCount": Match.absent(), "Monitoring": measured})
    service.has_resource_properties("AWS::ApplicationAutoScaling::ScalableTarget", {"MinCapacity": 3, "MaxCapacity": 9})
    for metric, value, cooldown in (
        ("ECSServiceAverageCPUUtilizationHighResolution", 60, 20),
        ("ALBRequestCountPerTarget", 1234, 60),
    ):
        policy = {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}, "TargetValue": value}
        service.has_resource_properties(
            "AWS::ApplicationAutoScaling::ScalingPolicy",
            {"TargetTrackingScalingPolicyConfiguration": policy | {"ScaleOutCooldown": cooldown}},
        )


def test_the_container_has_a_read_only_root_and_no_privileges_and_never_waits_for_the_log() -> None:
    service = templates("prod").service
    api = container(service)
    assert api["ReadonlyRootFilesystem"] is True
    assert api["LinuxParameters"]["Capabilities"] == {"Drop": ["ALL"]}
    assert not api["User"].startswith("0")
    assert "MountPoints" not in api
    assert the(service, SERVICE).get("EnableExecuteCommand") is not True
    assert api["LogConfiguration"]["Options"]["mode"] == "non-blocking"
