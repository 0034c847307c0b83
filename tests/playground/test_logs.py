"""Logs of several pages, and the metrics that alarms use."""

import time

from tests.client import ask
from tests.playground.conftest import Cloud, wait_until


def test_a_log_longer_than_a_page_is_read_to_its_end(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    name = {"logGroupName": "/test/long", "logStreamName": "one"}
    logs.create_log_group(logGroupName=name["logGroupName"])
    logs.create_log_stream(**name)
    now = int(time.time() * 1000)
    for thousand in range(11):
        lines = [{"timestamp": now, "message": f"{thousand}.{number}"} for number in range(1000)]
        logs.put_log_events(**name, logEvents=lines)
    pages = logs.get_paginator("filter_log_events").paginate(logGroupName=name["logGroupName"])
    messages = {event["message"] for page in pages for event in page["events"]}
    logs.delete_log_group(logGroupName=name["logGroupName"])
    assert len(messages) == 11_000


def test_the_metrics_of_alarms_and_scaling_are_measured(cloud: Cloud) -> None:
    """UnHealthyHostCount and RequestCountPerTarget use the same target group name as alarms and scaling policies."""
    assert ask(f"{cloud.url}/api/comment/list/87654321").status == 404
    expected = {"RequestCount", "TargetResponseTime", "HTTPCode_Target_4XX_Count", "CPUUtilization"}
    group = cloud.service()["loadBalancers"][0]["targetGroupArn"].rsplit(":", 1)[-1]
    of_the_group = {"UnHealthyHostCount", "RequestCountPerTarget"}

    def measured() -> bool:
        metrics = cloud.client("cloudwatch").list_metrics()["Metrics"]
        names = {metric["MetricName"] for metric in metrics}
        named = [(metric["MetricName"], each["Value"]) for metric in metrics for each in metric["Dimensions"]]
        return expected <= names and of_the_group <= {name for name, value in named if value == group}

    wait_until(measured, "the metrics of the load balancer and the service are there")
    (alarm,) = cloud.client("cloudwatch").describe_alarms(AlarmNames=["comments-playground-unhealthy"])["MetricAlarms"]
    assert group in {each["Value"] for each in alarm["Dimensions"]}
