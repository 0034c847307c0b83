import json
from dataclasses import replace
from typing import Any

import pytest

from infra.stages import STAGES
from tests.infra.synthesis import container, every, templates, templates_of, the


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
        silence = "breaching" if name == f"comments-{stage}-tasks" else "notBreaching"  # no task at all says nothing
        assert alarm["TreatMissingData"] == silence, name


def test_every_alarm_tells_somebody_and_names_its_page_of_the_runbook() -> None:
    topic = next(iter(templates("dev").service.find_resources("AWS::SNS::Topic")))
    for name, alarm in alarms("dev").items():
        assert alarm["AlarmActions"] == [{"Ref": topic}], name
        assert "docs/operations.md#" in alarm["AlarmDescription"], name


def test_alarms_of_this_account_may_speak_to_the_topic() -> None:
    """A topic with a policy of its own loses the default one, and alarms would be lost in silence."""
    statements = the(templates("dev").service, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = {each["Principal"]["Service"]: each for each in statements if each["Effect"] == "Allow"}
    assert allowed.keys() == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    mine = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allowed["cloudwatch.amazonaws.com"]["Condition"] == mine


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


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_too_few_tasks_wake_somebody_even_when_there_is_none_to_say_so(stage: str) -> None:
    alarm = alarms(stage)[f"comments-{stage}-tasks"]
    # Not of CPU, which some stages have three values a minute of.
    assert (alarm["MetricName"], alarm["Statistic"], alarm["Period"]) == ("MemoryUtilization", "SampleCount", 60)
    assert (alarm["ComparisonOperator"], alarm["Threshold"]) == ("LessThanThreshold", STAGES[stage].min_tasks)
    assert alarm["TreatMissingData"] == "breaching"


def test_a_failed_deployment_tells_somebody() -> None:
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
        "5xx", "error-rate", "balancer-5xx", "latency", "unhealthy", "tasks", "cpu", "memory", "read-throttles",
        "write-throttles",
    }  # fmt: skip


def board(stage: str) -> list[dict[str, Any]]:
    """Return the widgets of the dashboard, references shown by name."""
    body = the(templates(stage).service, "AWS::CloudWatch::Dashboard")["DashboardBody"]
    parts = body["Fn::Join"][1]
    widgets: list[dict[str, Any]] = json.loads(
        "".join(part if isinstance(part, str) else str(next(iter(part.values()))).replace("'", "") for part in parts)
    )["widgets"]
    return widgets


def test_the_dashboard_asks_first_whether_and_then_where() -> None:
    questions = [each["properties"]["markdown"] for each in board("prod") if each["type"] == "text"]
    assert questions == [
        "### Do visitors get answers?",
        "### If not, on which route?",
        "### Is it the tasks?",
        "### Is it the table?",
        "### Or is somebody kept out?",
    ]


def test_a_route_appears_on_the_dashboard_with_its_first_request() -> None:
    """By a search in the namespace that the task is told, over the only dimension."""
    searches = [str(each["properties"].get("metrics")) for each in board("prod")]
    found = [each for each in searches if "SEARCH" in each]
    assert len(found) == 3
    environment = {pair["Name"]: pair["Value"] for pair in container(templates("prod").service)["Environment"]}
    for each in found:
        assert f'{{"{environment["COMMENTS_METRICS"]}",route}}' in each


def test_a_stage_without_route_metrics_has_none_anywhere() -> None:
    stack = templates_of(replace(STAGES["prod"], route_metrics=False)).service
    assert "COMMENTS_METRICS" not in str(container(stack)["Environment"])
    assert "SEARCH" not in str(the(stack, "AWS::CloudWatch::Dashboard"))


def test_the_dashboard_shows_every_alarm() -> None:
    service = templates("prod").service
    body = str(the(service, "AWS::CloudWatch::Dashboard")["DashboardBody"])
    for logical in service.find_resources("AWS::CloudWatch::Alarm"):
        assert logical in body
    for stage in ("dev", "pr-5"):
        templates(stage).service.resource_count_is("AWS::CloudWatch::Dashboard", 0)
