from dataclasses import replace
from typing import Any

import pytest

from infra.stages import STAGES
from tests.infra.synthesis import every, templates, templates_of, the


def alarms(stage: str) -> dict[str, dict[str, Any]]:
    return {alarm["AlarmName"]: alarm for alarm in every(templates(stage).service, "AWS::CloudWatch::Alarm")}


@pytest.mark.parametrize("stage", ["dev", "prod", "playground", "pr-5"])
def test_deployment_alarms_watch_the_whole_balancer_minute_by_minute(stage: str) -> None:
    """A metric of one target group would not see the other one in a traffic shift."""
    for name, metric in (("5xx", "HTTPCode_Target_5XX_Count"), ("latency", "TargetResponseTime")):
        alarm = alarms(stage)[f"comments-{stage}-{name}"]
        assert alarm["MetricName"] == metric
        assert [dimension["Name"] for dimension in alarm["Dimensions"]] == ["LoadBalancer"]


@pytest.mark.parametrize("stage", ["dev", "pr-5"])
def test_no_alarm_outlasts_its_cause_or_fires_on_silence(stage: str) -> None:
    """An alarm still firing fails the next deployment, and an idle service has no data."""
    for name, alarm in alarms(stage).items():
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each}
        assert (periods or {alarm["Period"]}) == {60}, name
        assert alarm["TreatMissingData"] == "notBreaching", name


def test_every_alarm_tells_somebody_and_names_its_page_of_the_runbook() -> None:
    topic = next(iter(templates("dev").service.find_resources("AWS::SNS::Topic")))
    for name, alarm in alarms("dev").items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert "docs/operations.md#" in alarm["AlarmDescription"], name


def test_alarms_of_this_account_may_speak_to_the_topic() -> None:
    """A topic with a policy of its own loses the default one, and alarms would be lost in silence."""
    statements = the(templates("dev").service, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    (allowed,) = (statement for statement in statements if statement["Effect"] == "Allow")
    assert allowed["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_an_address_of_the_stage_is_subscribed() -> None:
    stack = templates_of(replace(STAGES["dev"], alarm_email="ops@example.com")).service
    subscription = the(stack, "AWS::SNS::Subscription")
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", "ops@example.com")
    templates("dev").service.resource_count_is("AWS::SNS::Subscription", 0)


def test_the_failing_request_is_one_saved_query_away() -> None:
    queries = {query["Name"]: query for query in every(templates("dev").service, "AWS::Logs::QueryDefinition")}
    assert "comments-dev/one request" in queries
    for query in queries.values():
        assert query["LogGroupNames"] == ["/comments/dev/app"]


def test_the_dashboard_shows_every_alarm() -> None:
    service = templates("dev").service
    body = str(the(service, "AWS::CloudWatch::Dashboard")["DashboardBody"])
    for logical in service.find_resources("AWS::CloudWatch::Alarm"):
        assert logical in body
    templates("pr-5").service.resource_count_is("AWS::CloudWatch::Dashboard", 0)
