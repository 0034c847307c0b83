"""Evidence collected during a deployment, from emulated ECS."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from queue import Queue
from threading import Barrier
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from types_boto3_ecs.type_defs import ContainerTypeDef

from infra.constructs.alarms import MIN_REQUESTS
from release import watch
from release.aws import Aws
from release.command import DeploymentError
from release.evidence import Evidence, StoppedTask
from release.explain import explain
from release.watch import Watch, probe_traffic


@pytest.fixture
def cluster(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Aws]:
    """A stage whose cluster is there and whose service is not."""
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    aws.ecs.create_cluster(clusterName=aws.stage.cluster)
    aws.logs.create_log_group(logGroupName=aws.stage.app_log_group)
    yield aws
    aws.logs.delete_log_group(logGroupName=aws.stage.app_log_group)
    aws.ecs.delete_cluster(cluster=aws.stage.cluster)


def deployment_failed(aws: Aws, meanwhile: Callable[[], object] = lambda: None) -> Evidence:
    """Watch a deployment that fails after something has happened, and return what was seen."""
    watched = Watch(aws)
    with suppress(DeploymentError), watched:
        meanwhile()
        raise DeploymentError("rolled back")
    return watched.evidence


def test_a_failed_deployment_is_explained_by_its_own_tasks_and_their_last_lines(
    cluster: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    arn = "arn:aws:ecs:us-east-1:000000000000:task/notes/"
    ending = {"stopCode": "TaskFailedToStart", "stoppedReason": "no image", "containers": [{"name": "web"}]}
    older, own = ({"tasks": [ending | {"taskArn": f"{arn}{task}"}]} for task in ("older", "own"))
    throttled = ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeTasks")
    listed, said = Mock(return_value={"taskArns": [f"{arn}older"]}), Queue[str]()
    monkeypatch.setattr(cluster.ecs, "list_tasks", listed)
    monkeypatch.setattr(cluster.ecs, "describe_tasks", Mock(side_effect=[older, throttled, throttled, own]))
    monkeypatch.setattr(watch, "progress", lambda row, text: said.put(text) if row == "ECS" else None)

    def meanwhile() -> None:
        listed.return_value = {"taskArns": [f"{arn}older", f"{arn}own"]}
        assert said.get(timeout=30) == "task own stopped: no image"
        group, stream, now = cluster.stage.app_log_group, "web/web/own", int(time.time() * 1000)
        cluster.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        for line in ("the first line", "the last line"):  # they arrive after the end
            cluster.logs.put_log_events(
                logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": now, "message": line}]
            )

    evidence = deployment_failed(cluster, meanwhile)
    assert [each.reasons for each in evidence.stopped] == [("no image",)]
    assert explain(evidence, [])[-2:] == ["  the first line", "  the last line"]


def test_a_crashed_task_is_recorded_once_its_exit_code_is_known(cluster: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same code in two tasks proves that a rollout can't succeed."""
    crash = {"taskArn": "task/own", "stopCode": "EssentialContainerExited"}
    early, late = ({"tasks": [crash | {"containers": [{"name": "web"} | code]}]} for code in ({}, {"exitCode": 3}))
    listed, said = Mock(return_value={"taskArns": []}), Queue[str]()
    monkeypatch.setattr(cluster.ecs, "list_tasks", listed)
    monkeypatch.setattr(cluster.ecs, "describe_tasks", Mock(side_effect=[early, early, late]))
    monkeypatch.setattr(watch, "progress", lambda row, text: said.put(text) if row == "ECS" else None)

    def meanwhile() -> None:
        listed.return_value = {"taskArns": ["task/own"]}
        assert said.get(timeout=30) == "task own stopped: web: exit code 3"

    assert [each.exit_code for each in deployment_failed(cluster, meanwhile).stopped] == [3]


def test_looking_back_leaves_out_what_an_earlier_deployment_did(cluster: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A task may fail within the second in which the deployment began, and its times may be whole seconds."""
    began = int(time.time()) + 0.5
    times = {"older": datetime.fromtimestamp(began - 60, UTC), "own": datetime.fromtimestamp(int(began), UTC)}
    events = [{"id": f"event {each}", "createdAt": times[each], "message": each} for each in times]
    deployments = [
        {"id": each, "createdAt": times[each], "rolloutState": "FAILED", "rolloutStateReason": each} for each in times
    ]
    tasks = [
        {"taskArn": f"task/{each}", "stoppedAt": times[each], "stopCode": "TaskFailedToStart", "containers": []}
        for each in times
    ]
    service = {"status": "ACTIVE", "events": events, "deployments": deployments}
    monkeypatch.setattr(cluster.ecs, "describe_services", Mock(return_value={"services": [service]}))
    monkeypatch.setattr(cluster.ecs, "list_tasks", Mock(return_value={"taskArns": [task["taskArn"] for task in tasks]}))
    monkeypatch.setattr(cluster.ecs, "describe_tasks", Mock(return_value={"tasks": tasks}))
    evidence = Watch(cluster, since=began).look_back()
    assert evidence.failure is None
    assert (evidence.events, evidence.rollouts_failed, [task.id for task in evidence.stopped]) == (
        ["own"],
        ["own"],
        ["own"],
    )


def test_lost_access_does_not_stop_a_deployment_but_prevents_its_start(
    cluster: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    expired = ClientError({"Error": {"Code": "ExpiredTokenException"}}, "DescribeServices")

    def expire() -> None:
        monkeypatch.setattr(cluster.ecs, "describe_services", Mock(side_effect=expired))

    assert deployment_failed(cluster, expire).failure is expired
    with pytest.raises(ClientError, match="ExpiredToken"):
        deployment_failed(cluster)


def test_probe_traffic_continues_during_a_deployment_despite_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alarm on 5xx would otherwise see nothing at a quiet time."""
    monkeypatch.setattr(watch, "PROBE_SECONDS", 0.01)
    reads: Queue[str] = Queue()

    def refuse(url: str) -> None:
        reads.put(url)
        raise ConnectionRefusedError

    monkeypatch.setattr(watch, "fetch", refuse)
    with probe_traffic("http://example.com"):
        for _ in range(2):
            assert reads.get(timeout=10) == "http://example.com/notes/none"


def test_probes_keep_their_rate_when_responses_are_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The `latency` alarm ignores minutes with few requests, so slow responses must not reduce their number."""
    assert 60 / watch.PROBE_SECONDS > MIN_REQUESTS
    monkeypatch.setattr(watch, "PROBE_SECONDS", 0.01)
    together = Barrier(12)  # as many as start within the timeout of one
    monkeypatch.setattr(watch, "fetch", lambda _: together.wait(10))
    with probe_traffic("http://example.com"):
        together.wait(10)
    together.abort()


def test_a_container_that_aws_adds_to_a_task_explains_nothing() -> None:
    """GuardDuty's agent may even come first, and its log is elsewhere."""
    agent: ContainerTypeDef = {"name": "aws-guardduty-agent-x", "reason": "CannotPullContainerError", "exitCode": 137}
    task = StoppedTask.of({"taskArn": "arn:aws:ecs:::task/1", "containers": [agent, {"name": "web", "exitCode": 3}]})
    assert task.ending == "web: exit code 3"
