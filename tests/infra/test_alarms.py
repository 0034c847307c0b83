import re
from pathlib import Path
from typing import Any

import pytest

from infra.queries import QUERIES
from infra.stages import NOBODY, STAGES
from tests.infra.synthesis import EMAIL, every, templates, the, variant

RUNBOOK = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()


def alarms(stage: str) -> dict[str, dict[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in every(templates(stage).service, "AWS::CloudWatch::Alarm")}


@pytest.mark.parametrize("stage", ["dev", "prod", "playground", "pr-5"])
def test_deployment_alarms_watch_the_load_balancer_minute_by_minute(stage: str) -> None:
    for name, metric in (("5xx", "HTTPCode_Target_5XX_Count"), ("latency", "TargetResponseTime")):
        alarm = alarms(stage)[f"comments-{stage}-{name}"]
        assert alarm["MetricName"] == metric
        assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["LoadBalancer"]


@pytest.mark.parametrize("stage", ["dev", "pr-5"])
def test_no_alarm_outlasts_its_cause_or_fires_on_silence(stage: str) -> None:
    """An idle service has no data, and during an alarm that lasts too long ECS would not monitor a deployment."""
    for name, alarm in alarms(stage).items():
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each}
        assert (periods or {alarm["Period"]}) == {60}, name
        silence = "breaching" if name == f"comments-{stage}-tasks" else "notBreaching"  # without tasks there is no data
        assert alarm["TreatMissingData"] == silence, name


def test_every_alarm_notifies_the_topic_when_it_fires_and_when_it_is_over() -> None:
    topic = next(iter(templates("dev").service.find_resources("AWS::SNS::Topic")))
    for name, alarm in alarms("dev").items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}], name


@pytest.mark.parametrize("stage", ["dev", "prod", "pr-5"])
def test_every_description_has_a_command_for_the_stage_and_links_to_its_section_of_the_runbook(stage: str) -> None:
    described = {name: alarm["AlarmDescription"] for name, alarm in alarms(stage).items()}
    described["failed-deployment"] = the(templates(stage).service, "AWS::Events::Rule")["Description"]
    linked = set()
    for name, text in described.items():
        command = rf"make logs ENV={stage} QUERY='([a-z ]+)'|aws ecs describe-services --cluster comments-{stage} .+"
        link = r"https://github\.com/example/comments/blob/main/docs/operations\.md#([a-z0-9-]+)"
        match = re.fullmatch(rf".+ Run first: (?:{command}) Then: {link}", text)
        assert match, (name, text)
        assert match[1] is None or match[1] in QUERIES, name
        assert len(text) <= 512, name  # EventBridge's limit; CloudWatch's is 1,024
        linked.add(match[2])
    assert linked == set(re.findall(r"^## (\S+)$", RUNBOOK, re.MULTILINE)), "alarms and sections match"


def test_without_a_repository_the_link_is_a_path() -> None:
    (alarm,) = (each for each in every(variant(github=None).service, "AWS::CloudWatch::Alarm")
                if each["AlarmName"] == "comments-dev-5xx")  # fmt: skip
    assert alarm["AlarmDescription"].endswith(" Then: docs/operations.md#5xx")


def test_the_runbook_names_only_saved_queries_that_exist() -> None:
    named = set(re.findall(r"\*([a-z ]+)\*", RUNBOOK))
    assert named
    assert named <= QUERIES.keys()


def test_alarms_of_this_account_may_publish_to_the_topic() -> None:
    """A topic with a policy loses the default one, and alarms would be lost without an error."""
    statements = the(templates("dev").service, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = {each["Principal"]["Service"]: each for each in statements if each["Effect"] == "Allow"}
    assert allowed.keys() == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    mine = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allowed["cloudwatch.amazonaws.com"]["Condition"] == mine


def test_an_address_of_the_stage_is_subscribed() -> None:
    stack = variant(alarm_email=EMAIL).service
    subscription = the(stack, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", EMAIL)
    for silent in (templates("dev"), variant(alarm_email=NOBODY)):
        silent.service.resource_count_is("AWS::SNS::Subscription", 0)


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_too_few_tasks_are_an_alarm_even_if_there_are_none(stage: str) -> None:
    alarm = alarms(stage)[f"comments-{stage}-tasks"]
    # Not of CPU, which some stages have three values a minute of.
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("MemoryUtilization", "SampleCount", 60)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", STAGES[stage].min_tasks)
    assert alarm["TreatMissingData"] == "breaching"


def test_a_failed_deployment_notifies_the_topic() -> None:
    service = templates("prod").service
    rule = the(service, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    (resource,) = rule["EventPattern"]["resources"]
    assert str(resource).rstrip("']}").endswith(":service/comments-prod/comments-prod")
    (target,) = rule["Targets"]
    assert target["Arn"] == {"Ref": next(iter(service.find_resources("AWS::SNS::Topic")))}


def test_what_can_fail_has_an_alarm() -> None:
    subjects = {name.removeprefix("comments-prod-") for name in alarms("prod")}
    assert subjects == {
        "5xx", "error-rate", "load-balancer-5xx", "latency", "unhealthy", "tasks", "cpu", "memory", "read-throttles",
        "write-throttles",
    }  # fmt: skip
