import re
from typing import Any

import pytest

from infra.queries import QUERIES
from infra.stages import NOBODY, STAGES
from tests.infra.synthesis import EMAIL, NAT, PROJECT, every, templates, the, variant

RUNBOOK = (PROJECT / "docs" / "operations.md").read_text()


def alarms(stage: str) -> dict[str, dict[str, Any]]:
    """Return the alarms of a stage, named without the stage."""
    prefix = f"comments-{stage}-"
    found = every(templates(stage).service, "AWS::CloudWatch::Alarm")
    return {alarm["AlarmName"].removeprefix(prefix): alarm for alarm in found}


def test_deployment_alarms_watch_the_load_balancer() -> None:
    found = alarms("prod")
    for name, metric in (("5xx", "HTTPCode_Target_5XX_Count"), ("latency", "TargetResponseTime")):
        assert found[name]["MetricName"] == metric
        assert [dimension["Name"] for dimension in found[name]["Dimensions"]] == ["LoadBalancer"]


def test_too_few_tasks_are_an_alarm() -> None:
    tasks = alarms("prod")["tasks"]
    assert tasks == tasks | {
        "MetricName": "MemoryUtilization",  # not of CPU, which some stages have three values a minute of
        "Statistic": "SampleCount",
        "ComparisonOperator": "LessThanThreshold",
        "Threshold": STAGES["prod"].min_tasks,
    }


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
    for silent in (templates("dev"), variant(alarm_email=NOBODY)):
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
