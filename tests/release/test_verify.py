"""Accepted responses and tasks, and the rollback hint."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from release import verify
from release.aws import Aws
from release.errors import NotVerifiedError
from release.images import Images

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
HEALTHY = (200, '{"status": "OK"}')
NO_COMMENTS = (404, '{"status": "NOT-FOUND", "message": "content_id 1 not found"}')
GOOD_STATUS = (200, '{"status": "OK", "store": {"status": "OK"}}')
SILENT = (503, '{"status": "UNAVAILABLE", "message": "comments are temporarily unavailable; retry shortly"}')
DEGRADED = (200, '{"status": "DEGRADED", "store": {"status": "UNAVAILABLE", "reason": "AccessDeniedException"}}')


@contextmanager
def server(
    *, health: list[tuple[int, str]], thread: tuple[int, str] = NO_COMMENTS, status: tuple[int, str] = GOOD_STATUS
) -> Iterator[str]:
    """Serve the health answers in turn, the last one for ever."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, body = thread if "/list/" in self.path else status
            if self.path == "/healthz":
                code, body = health.pop(0) if len(health) > 1 else health[0]
            self.send_response(code)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()


@pytest.fixture
def deployed(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A stage whose tasks run the digest, and which has run another image before."""
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)
    monkeypatch.setattr(verify, "running_tasks", lambda *_: 2)
    monkeypatch.setattr(verify, "error_lines", lambda *_, **__: [])
    monkeypatch.setattr(Images, "verified_in", lambda *_, **__: ["dev-aaaaaaaaaaaa"])
    return dev


def verified(aws: Aws, url: str, monkeypatch: pytest.MonkeyPatch, *, patience: float = 60) -> str:
    monkeypatch.setattr(verify, "base_url", lambda _: url)
    monkeypatch.setattr(verify, "wait_for", partial(verify.wait_for, seconds=patience, store_seconds=0))
    return verify.verify(aws, DIGEST)


@pytest.mark.parametrize(
    ("health", "thread", "status"),
    [
        ([HEALTHY], (200, "[]"), GOOD_STATUS),
        ([(503, "<html>"), (502, "<html>"), HEALTHY], NO_COMMENTS, GOOD_STATUS),
        ([HEALTHY], NO_COMMENTS, NO_COMMENTS),
    ],
    ids=["comments", "after a while", "an image from before the status page"],
)
def test_a_response_of_the_api_is_accepted(
    deployed: Aws,
    monkeypatch: pytest.MonkeyPatch,
    health: list[tuple[int, str]],
    thread: tuple[int, str],
    status: tuple[int, str],
) -> None:
    with server(health=list(health), thread=thread, status=status) as url:
        assert verified(deployed, url, monkeypatch) == url


@pytest.mark.parametrize("thread", [(404, "<html>not found"), (404, '{"status": "OTHER"}'), (200, "{}")])
def test_another_response_is_not_verified_and_the_rollback_command_is_named(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, thread: tuple[int, str]
) -> None:
    with server(health=[HEALTHY], thread=thread) as url, pytest.raises(NotVerifiedError) as failed:
        verified(deployed, url, monkeypatch, patience=0)
    assert "/api/comment/list/" in failed.value.summary
    assert "make deploy ENV=dev TAG=dev-aaaaaaaaaaaa" in failed.value.details[-1]


def test_an_address_that_does_not_respond_is_not_verified(deployed: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Images, "verified_in", lambda *_, **__: [])
    with pytest.raises(NotVerifiedError, match="/healthz does not respond") as failed:
        verified(deployed, "http://127.0.0.1:1", monkeypatch, patience=0)
    assert "no other image" in failed.value.details[-1]


@pytest.mark.parametrize(("thread", "status"), [(SILENT, DEGRADED), (NO_COMMENTS, DEGRADED)])
def test_a_store_that_does_not_respond_is_explained_and_not_waited_for_as_long(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, thread: tuple[int, str], status: tuple[int, str]
) -> None:
    error = "the store failed: table comments-dev: ResourceNotFoundException: non-existent table"
    monkeypatch.setattr(verify, "error_lines", lambda *_, **__: [json.dumps({"message": error})])
    with server(health=[HEALTHY], thread=thread, status=status) as url, pytest.raises(NotVerifiedError) as failed:
        verified(deployed, url, monkeypatch)
    assert "cause: the table comments-dev is missing" in failed.value.details[0]


def running(aws: Aws, *digests: str, stable: bool = True) -> int:
    """Verify a service of which ECS says these things."""
    deployments = [{"id": f"ecs-svc/{number}"} for number in range(1 if stable else 2)]
    service = {"deployments": deployments, "runningCount": len(digests), "desiredCount": len(digests)}
    tasks = [
        {"taskArn": f"arn:aws:ecs:::task/{n}", "lastStatus": "RUNNING", "containers": [{"imageDigest": digest}]}
        for n, digest in enumerate(digests)
    ]
    tasks.append({"taskArn": "arn:aws:ecs:::task/new", "lastStatus": "PENDING", "containers": [{"name": "api"}]})
    with Stubber(aws.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        stubber.add_response("list_tasks", {"taskArns": [task["taskArn"] for task in tasks]})
        stubber.add_response("describe_tasks", {"tasks": tasks})
        return verify.running_tasks(aws, DIGEST)


def test_a_complete_deployment_of_the_digest_is_verified_while_autoscaling_starts_a_task(dev: Aws) -> None:
    assert running(dev, DIGEST, DIGEST) == 2


def test_an_error_of_aws_is_not_called_an_unstable_service(dev: Aws) -> None:
    with Stubber(dev.ecs) as stubber:
        stubber.add_client_error("describe_services", "ExpiredTokenException")
        with pytest.raises(ClientError, match="ExpiredToken"):
            verify.running_tasks(dev, DIGEST)


def test_a_service_that_does_not_settle_is_described(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "TASKS_SECONDS", verify.POLL_SECONDS)
    deployments = [{"id": "1", "rolloutStateReason": "still in progress"}, {"id": "2"}]
    service = {"deployments": deployments, "runningCount": 1, "desiredCount": 2}
    with Stubber(dev.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        with pytest.raises(NotVerifiedError, match="1 of 2 tasks run; still in progress"):
            verify.running_tasks(dev, DIGEST)


@pytest.mark.parametrize(
    ("digests", "deployed", "problem"),
    [
        ([DIGEST, OTHER], DIGEST, f"the service runs {OTHER}, not {DIGEST}: ECS rolled it back"),
        ([OTHER, OTHER], OTHER, f"another release has deployed {OTHER}"),
        ([], DIGEST, "no running tasks"),
    ],
)
def test_other_tasks_or_none_are_not_verified(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, digests: list[str], deployed: str, problem: str
) -> None:
    monkeypatch.setattr(verify, "running_digest", lambda _: deployed)
    with pytest.raises(NotVerifiedError, match=problem):
        running(dev, *digests)


def test_a_service_that_does_not_become_stable_is_not_verified(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "TASKS_SECONDS", verify.POLL_SECONDS)  # looks once
    with pytest.raises(NotVerifiedError, match="not stable"):
        running(dev, DIGEST, stable=False)
