"""The playground as an operator meets it: logs searched, alarms fed, gaps refused."""

import ipaddress
import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from infra.queries import QUERIES
from playground.down import processes_of
from playground.state import Playground
from tests.playground.cloud import NAME, Cloud, wait_until
from tests.playground.traffic import Traffic

pytestmark = pytest.mark.xdist_group("playground")

LOG_GROUP = "/comments/playground/app"
LISTEN = "0A"  # Linux: the state in /proc/net/tcp


@pytest.fixture
def thread(cloud: Cloud, acknowledged: dict[int, list[str]]) -> int:
    """The content_id of a thread with comments."""
    with Traffic(cloud.url, acknowledged) as traffic:
        traffic.flow_for(1)
    return next(thread for thread, ids in acknowledged.items() if ids)


@pytest.mark.parametrize("name", QUERIES)
def test_every_saved_query_runs(cloud: Cloud, name: str) -> None:
    logs = cloud.client("logs")
    (saved,) = [
        query
        for query in logs.describe_query_definitions(queryDefinitionNamePrefix=NAME)["queryDefinitions"]
        if query["name"].endswith(f"/{name}")
    ]
    assert rows(cloud, saved["queryString"])["status"] == "Complete"


def rows(cloud: Cloud, query: str) -> dict[str, Any]:
    logs = cloud.client("logs")
    now = int(time.time())
    begun = logs.start_query(logGroupName=LOG_GROUP, startTime=now - 3600, endTime=now + 1, queryString=query)
    return dict(logs.get_query_results(queryId=begun["queryId"]))


def test_a_requests_line_is_found_by_its_id(cloud: Cloud, thread: int) -> None:
    with urllib.request.urlopen(f"{cloud.url}/api/comment/list/{thread}", timeout=30) as response:
        request = response.headers["X-Request-Id"]
    query = f'filter request_id = "{request}" | fields path, status'
    wait_until(lambda: len(rows(cloud, query)["results"]) == 1, f"request {request} is logged")


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


def test_a_query_that_cannot_be_run_is_an_error(cloud: Cloud) -> None:
    logs = cloud.client("logs")
    with pytest.raises(logs.exceptions.MalformedQueryException, match="playground"):
        rows(cloud, "parse @message '* *' as a, b")


@pytest.mark.usefixtures("thread")
def test_requests_are_counted_for_the_alarms(cloud: Cloud) -> None:
    expected = {"RequestCount", "TargetResponseTime", "HTTPCode_Target_2XX_Count", "HealthyHostCount", "CPUUtilization"}

    def measured() -> set[str]:
        return {metric["MetricName"] for metric in cloud.client("cloudwatch").list_metrics()["Metrics"]}

    wait_until(lambda: expected <= measured(), "the balancer's and the service's metrics are there")


def test_a_stack_that_asks_for_more_than_the_playground_has_is_refused(cloud: Cloud) -> None:
    cloudformation = cloud.client("cloudformation")
    container = {"Name": "api", "Image": "api", "HealthCheck": {"Command": ["CMD", "true"]}}
    task = {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {"Family": "refused", "ContainerDefinitions": [container]},
    }
    template = json.dumps({"Resources": {"Task": task}})
    cloudformation.create_stack(StackName="refused", TemplateBody=template)
    wait_until(lambda: "ROLLBACK_COMPLETE" in str(stack(cloud)["StackStatus"]), "the stack is rolled back")
    events = cloudformation.describe_stack_events(StackName="refused")["StackEvents"]
    assert any("cannot give container api: healthCheck" in event.get("ResourceStatusReason", "") for event in events)
    cloudformation.delete_stack(StackName="refused")


def test_an_action_that_would_do_nothing_is_refused(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")
    with pytest.raises(ecs.exceptions.ClientError, match="the playground has no ExecuteCommand"):
        ecs.execute_command(cluster=NAME, task="any", command="sh", interactive=True)


def stack(cloud: Cloud) -> dict[str, Any]:
    return dict(cloud.client("cloudformation").describe_stacks(StackName="refused")["Stacks"][0])


def test_docker_never_hears_of_amazons_registry(cloud: Cloud) -> None:
    cloud.settle(2)
    assert "amazonaws" not in subprocess.check_output(["docker", "image", "ls", "--no-trunc"], text=True)


def test_it_listens_on_loopback_and_the_bridge_alone(cloud: Cloud) -> None:
    cloud.settle(2)
    asked = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    bridge = ipaddress.ip_network(subprocess.check_output(asked, text=True).strip())
    addresses = {address for process in processes_of(Playground.from_environment()) for address in listening(process)}
    assert "127.0.0.1" in addresses
    assert [one for one in addresses - {"127.0.0.1"} if ipaddress.ip_address(one) not in bridge] == []


def listening(process: int) -> set[str]:
    """The addresses on which a process accepts TCP connections."""
    mine = {str(descriptor.readlink()) for descriptor in Path(f"/proc/{process}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in mine:
                found.add(address_of(fields[1].split(":")[0]))
    return found


def address_of(words: str) -> str:
    """The kernel writes an address as 32-bit words, each in the machine's order of bytes."""
    packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)
