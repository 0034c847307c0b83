"""Alarms, their descriptions, and the dashboard that shows them."""

import json
import re
from dataclasses import replace
from typing import Any

from aws_cdk.assertions import Template

from infra.app import app_of
from infra.config import STAGES, WORKLOAD
from infra.model import NOBODY
from tests.infra.synthesis import EMAIL, ROOT, environment, every, templates, the

RUNBOOK = (ROOT / "docs" / "operations.md").read_text()


def alarms() -> dict[str, dict[str, Any]]:
    """Return the alarms of prod, named without the stage."""
    found = every(templates("prod").service, "AWS::CloudWatch::Alarm")
    return {alarm["AlarmName"].removeprefix("notes-prod-"): alarm for alarm in found}


def test_alarms_fire_at_the_values_of_the_runbook_and_end_with_their_cause() -> None:
    """During an alarm that lasts too long ECS would not monitor a deployment, and an idle service has no data."""

    def values(alarm: dict[str, Any]) -> tuple[Any, ...]:
        metric = alarm.get("MetricName") or alarm["Metrics"][0]["Expression"]
        statistic = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
        return metric, statistic, alarm["ComparisonOperator"], alarm["Threshold"], alarm["EvaluationPeriods"]

    above, below = "GreaterThanOrEqualToThreshold", "LessThanThreshold"
    assert {name: values(alarm) for name, alarm in alarms().items()} == {
        "5xx": ("HTTPCode_Target_5XX_Count", "Sum", above, 5, 1),
        "failed": ("failed", "Sum", above, 3, 1),
        "latency": ("IF(requests >= 100, p99, 0)", None, above, 1, 2),
        "error-rate": ("IF(requests >= 100, 100 * failed / requests, 0)", None, above, 1, 5),
        "load-balancer-5xx": ("HTTPCode_ELB_5XX_Count", "Sum", above, 5, 1),
        "unhealthy": ("UnHealthyHostCount", "Maximum", above, 1, 5),
        # Not of CPU, which some stages have three values a minute of.
        "tasks": ("MemoryUtilization", "SampleCount", below, STAGES["prod"].min_tasks, 5),
        "cpu": ("CPUUtilization", "Average", above, 85, 10),
        "memory": ("MemoryUtilization", "Maximum", above, 85, 10),
        "write-throttles": ("WriteThrottleEvents", "Sum", above, 1, 3),
    }
    for name, alarm in alarms().items():
        periods = {each["MetricStat"]["Period"] for each in alarm.get("Metrics", []) if "MetricStat" in each}
        assert (periods or {alarm["Period"]}) == {10 if name == "failed" else 60}, name
        silence = "breaching" if name == "tasks" else "notBreaching"  # without tasks there is no data
        assert alarm["TreatMissingData"] == silence, name


def test_the_topic_is_notified_of_every_alarm_and_of_failed_deployments() -> None:
    """A topic with a policy loses the default one, and alarms would be lost without an error."""
    service = templates("prod").service
    (topic,) = service.find_resources("AWS::SNS::Topic")
    for name, alarm in alarms().items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": topic}], name
    rule = the(service, "AWS::Events::Rule")
    assert rule["EventPattern"]["detail"] == {"eventName": ["SERVICE_DEPLOYMENT_FAILED"]}
    assert str(rule["EventPattern"]["resources"]).rstrip("']}").endswith(":service/notes-prod/notes-prod")
    assert [target["Arn"] for target in rule["Targets"]] == [{"Ref": topic}]
    statements = the(service, "AWS::SNS::TopicPolicy")["PolicyDocument"]["Statement"]
    allowed = {each["Principal"]["Service"]: each for each in statements if each["Effect"] == "Allow"}
    assert allowed.keys() == {"cloudwatch.amazonaws.com", "events.amazonaws.com"}
    mine = {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    assert allowed["cloudwatch.amazonaws.com"]["Condition"] == mine


def test_an_address_gets_alarms_and_a_warning_at_80_and_100_percent_of_the_budget() -> None:
    service = templates(alarm_email=EMAIL).service
    service.has_resource_properties("AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": EMAIL})
    budget = the(service, "AWS::Budgets::Budget")
    limit = {"BudgetLimit": {"Amount": 60, "Unit": "USD"}, "TimeUnit": "MONTHLY"}
    assert budget["Budget"].items() >= (limit | {"CostFilters": {"TagKeyValue": ["user:stage$dev"]}}).items()
    warnings = budget["NotificationsWithSubscribers"]
    assert [each["Notification"]["Threshold"] for each in warnings] == [80, 100]
    assert all(each["Subscribers"] == [{"SubscriptionType": "EMAIL", "Address": EMAIL}] for each in warnings)
    templates(alarm_email=EMAIL, monthly_budget=None).service.resource_count_is("AWS::Budgets::Budget", 0)
    for kind in ("SNS::Subscription", "Budgets::Budget"):
        templates(alarm_email=NOBODY).service.resource_count_is(f"AWS::{kind}", 0)


def test_a_region_whose_cloudformation_has_no_budgets_gets_none_and_a_warning() -> None:
    stage = replace(STAGES["dev"], alarm_email=EMAIL, region="eu-north-1")
    service = app_of(stage).synth().get_stack_by_name(stage.service_stack)
    Template.from_json(service.template).resource_count_is("AWS::Budgets::Budget", 0)
    assert any("no budget: eu-north-1 lacks" in str(message.entry.data) for message in service.messages)


def test_every_description_has_a_command_for_the_stage_and_links_to_its_section_of_the_runbook() -> None:
    described = {name: alarm["AlarmDescription"] for name, alarm in alarms().items()}
    described["failed-deployment"] = the(templates("prod").service, "AWS::Events::Rule")["Description"]
    linked = set()
    for name, text in described.items():
        command = r"make logs ENV=prod QUERY='([a-z ]+)'|aws ecs describe-services --cluster notes-prod .+"
        link = r"https://github\.com/example/notes/blob/main/docs/operations\.md#([a-z0-9-]+)"
        match = re.fullmatch(rf".+ Run first: (?:{command}) Then: {link}", text)
        assert match, (name, text)
        assert match[1] is None or match[1] in WORKLOAD.queries, name
        assert len(text) <= 512, name  # EventBridge's limit; CloudWatch's is 1,024
        linked.add(match[2])
    assert linked == set(re.findall(r"^## (\S+)$", RUNBOOK, re.MULTILINE)), "alarms and sections match"
    named = set(re.findall(r"\*([a-z ]+)\*", RUNBOOK))
    assert named
    assert named <= WORKLOAD.queries.keys(), "saved queries exist"


def test_the_dashboard_finds_routes_by_a_search_and_shows_every_alarm() -> None:
    """A new route needs no deployment. The namespace is the one of the task."""
    service = templates("prod").service
    shown = json.dumps(the(service, "AWS::CloudWatch::Dashboard")).replace("\\", "")
    assert shown.count(f"""SEARCH('{{"{environment(service)["NOTES_METRICS"]}",route}}""") == 3
    assert all(alarm in shown for alarm in service.find_resources("AWS::CloudWatch::Alarm"))
