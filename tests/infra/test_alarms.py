"""Alarms, their descriptions, and the dashboard that shows them."""

import json
import re
from typing import Any

import pytest

from infra.queries import QUERIES
from infra.stages import NOBODY, STAGES
from tests.infra.synthesis import EMAIL, NAT, PROJECT, environment, every, templates, the

RUNBOOK = (PROJECT / "docs" / "operations.md").read_text()


def alarms(stage: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of a stage, named without the stage."""
    prefix = f"comments-{stage}-"
    found = every(templates(stage).service, "AWS::CloudWatch::Alarm")
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def test_alarms_fire_at_the_values_of_the_runbook() -> None:
    def values(alarm: dict[str, Any]) -> tuple[Any, ...]:
        metric = alarm.get("MetricName") or alarm["Metrics"][0]["Expression"]
        statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
        return metric, statistic, alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]

    above, below = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
    assert {name: values(alarm) for name, alarm in alarms("prod").items()} == {
        "5xx": ("HTTPCode_Target_5XX_Count", "Sum", above, 5, 1),
        "latency": ("TargetResponseTime", "p99", above, 1, 2),
        "error-rate": ("IF(requests >= 100, 100 * failed / requests, 0)", None, above, 1, 5),
        "load-balancer-5xx": ("HTTPCode_ELB_5XX_Count", "Sum", above, 5, 1),
        "unhealthy": ("UnHealthyHostCount", "Maximum", above, 1, 5),
        # Not of CPU, which some stages have three values a minute of.
        "tasks": ("MemoryUtilization", "SampleCount", below, STAGES["prod"].min_tasks, 5),
        "cpu": ("CPUUtilization", "Average", above, 85, 10),
        "memory": ("MemoryUtilization", "Maximum", above, 85, 10),
        "read-throttles": ("ReadThrottleEvents", "Sum", above, 1, 3),
        "write-throttles": ("WriteThrottleEvents", "Sum", above, 1, 3),
    }


def test_deployment_alarms_watch_the_load_balancer() -> None:
    for name in ("5xx", "latency"):
        assert [dimension["Name"] for dimension in alarms("prod")[name]["Dimensions"]] == ["LoadBalancer"]


@pytest.mark.parametrize("stage", ["prod", "pr-1"])
def test_no_alarm_outlasts_its_cause_or_fires_on_silence(stage: str) -> None:
    """An idle service has no data, and during an alarm that lasts too long ECS would not monitor a deployment."""
    for name, alarm in alarms(stage).items():
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each}
        assert (periods or {alarm["Period"]}) == {60}, name
        silence = "breaching" if name == "tasks" else "notBreaching"  # without tasks there is no data
        assert alarm["TreatMissingData"] == silence, name


def test_the_topic_is_notified_of_every_alarm_and_of_failed_deployments() -> None:
    """A topic with a policy loses the default one, and alarms would be lost without an error."""
    service = templates("prod").service
    (topic,) = service.find_resources("AWS::SNS::Topic")
    for name, alarm in alarms("prod").items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}], name
    rule = the(service, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    assert str(rule["EventPattern"]["resources"]).rstrip("']}").endswith(":service/comments-prod/comments-prod")
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": topic}]
    statements = the(service, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = {each["Principal"]["Service"]: each for each in statements if each["Effect"] == "Allow"}
    assert allowed.keys() == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    mine = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allowed["cloudwatch.amazonaws.com"]["Condition"] == mine


def test_an_address_of_the_stage_is_subscribed() -> None:
    subscription = the(templates(NAT).service, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", EMAIL)
    for silent in (templates("dev"), templates(alarm_email=NOBODY)):
        silent.service.resource_count_is("AWS::SNS::Subscription", 0)


def test_every_description_has_a_command_for_the_stage_and_links_to_its_section_of_the_runbook() -> None:
    described = {name: alarm["AlarmDescription"] for name, alarm in alarms("prod").items()}
    described["failed-deployment"] = the(templates("prod").service, "AWS::Events::Rule")["Description"]
    assert {"error-rate", "read-throttles", "write-throttles"} <= described.keys()  # they share a section with others
    linked = set()
    for name, text in described.items():
        command = r"make logs ENV=prod QUERY='([a-z ]+)'|aws ecs describe-services --cluster comments-prod .+"
        link = r"https://github\.com/example/comments/blob/main/docs/operations\.md#([a-z0-9-]+)"
        match = re.fullmatch(rf".+ Run first: (?:{command}) Then: {link}", text)
        assert match, (name, text)
        assert match[1] is None or match[1] in QUERIES, name
        assert len(text) <= 512, name  # EventBridge's limit; CloudWatch's is 1,024
        linked.add(match[2])
    assert linked == set(re.findall(r"^## (\S+)$", RUNBOOK, re.MULTILINE)), "alarms and sections match"
    named = set(re.findall(r"\*([a-z ]+)\*", RUNBOOK))
    assert named
    assert named <= QUERIES.keys(), "saved queries exist"


def test_the_dashboard_finds_routes_by_a_search_and_shows_every_alarm() -> None:
    """A new route needs no deployment. The namespace is the one of the task."""
    service = templates("prod").service
    body = the(service, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    shown = "".join(part if isinstance(part, str) else "reference" for part in body)
    metrics = [str(widget["properties"].get("metrics")) for widget in json.loads(shown)["widgets"]]
    searches = [each for each in metrics if "SEARCH" in each]
    assert len(searches) == 3
    assert all(f'{{"{environment(service)["COMMENTS_METRICS"]}",route}}' in each for each in searches)
    without_metrics = templates("prod", route_metrics=False).service
    assert "SEARCH" not in str(the(without_metrics, "AWS::CloudWatch::Dashboard"))
    assert all(alarm in str(body) for alarm in service.find_resources("AWS::CloudWatch::Alarm"))
