"""Which responses count as the API's, which tasks as the release, and how to return from one that fails here."""

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.stages import STAGES
from release import stacks, verify
from release.aws import Aws
from release.errors import NotVerifiedError, StoreUnavailableError
from release.images import Images

DIGEST = "sha256:" + "1" * 64
HEALTHY = (200, '{"status": "OK"}')
NO_COMMENTS = (404, '{"status": "NOT-FOUND", "message": "content_id 1 not found"}')
GOOD_STATUS = (200, '{"status": "OK", "store": {"status": "OK"}}')


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


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)


@pytest.mark.parametrize(
    ("health", "thread", "status"),
    [
        ([HEALTHY], NO_COMMENTS, GOOD_STATUS),
        ([HEALTHY], (200, "[]"), GOOD_STATUS),
        ([(503, "<html>"), (502, "<html>"), HEALTHY], NO_COMMENTS, GOOD_STATUS),
        ([HEALTHY], NO_COMMENTS, NO_COMMENTS),
    ],
    ids=["no comments", "comments", "after a while", "an image from before the status page"],
)
def test_a_response_of_the_api_is_accepted(
    health: list[tuple[int, str]], thread: tuple[int, str], status: tuple[int, str]
) -> None:
    with server(health=list(health), thread=thread, status=status) as url:
        verify.check_api(url)


@pytest.mark.parametrize("thread", [(404, "<html>not found"), (404, '{"status": "OTHER"}'), (503, "{}"), (200, "{}")])
def test_a_response_that_is_not_the_apis_is_not_verified(thread: tuple[int, str]) -> None:
    with server(health=[HEALTHY], thread=thread) as url, pytest.raises(NotVerifiedError, match="/api/comment/list/"):
        verify.check_api(url, seconds=0)


def test_an_unhealthy_api_and_one_that_does_not_listen_are_not_verified() -> None:
    with server(health=[(503, "no store")]) as url, pytest.raises(NotVerifiedError, match=r"/healthz .*503: no store"):
        verify.check_api(url, seconds=0)
    with pytest.raises(NotVerifiedError, match="/healthz does not respond"):
        verify.check_api(url, seconds=0)


SILENT = (503, '{"status": "UNAVAILABLE", "message": "comments are temporarily unavailable; retry shortly"}')
DEGRADED = (200, '{"status": "DEGRADED", "store": {"status": "UNAVAILABLE", "reason": "AccessDeniedException"}}')


@pytest.mark.parametrize(
    ("thread", "status", "word"),
    [
        (SILENT, DEGRADED, "UNAVAILABLE"),
        (NO_COMMENTS, DEGRADED, "AccessDeniedException"),
    ],
)
def test_a_failing_store_is_distinguished_from_a_failing_service(
    thread: tuple[int, str], status: tuple[int, str], word: str
) -> None:
    """It is not waited for as long as for an address."""
    with (
        server(health=[HEALTHY], thread=thread, status=status) as url,
        pytest.raises(StoreUnavailableError, match=word),
    ):
        verify.check_api(url, store_seconds=0)


def running(rollout: str, *digests: str, desired: int = 2, why: str = "", deployed: str = DIGEST) -> Sequence[object]:
    """Verify a service of which ECS says these things, and CloudFormation what it was deployed with."""
    aws = Aws(STAGES["dev"], {}, "000000000000", "us-east-1")
    ecs = boto3.client("ecs", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
    aws.__dict__["ecs"] = ecs
    outputs = [{"OutputKey": "DeployedDigest", "OutputValue": deployed}]
    aws.__dict__["cloudformation"] = SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [{"Outputs": outputs}]})
    deployment = {"id": "ecs-svc/1", "status": "PRIMARY", "rolloutState": rollout, "rolloutStateReason": why}
    service = {"deployments": [deployment], "runningCount": len(digests), "desiredCount": desired}
    tasks = [
        {"taskArn": f"arn:aws:ecs:::task/{n}", "lastStatus": "RUNNING", "containers": [{"imageDigest": digest}]}
        for n, digest in enumerate(digests)
    ]
    with Stubber(ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        stubber.add_response("list_tasks", {"taskArns": [task["taskArn"] for task in tasks]})
        stubber.add_response("describe_tasks", {"tasks": tasks})
        return verify.running_tasks(aws, DIGEST, seconds=0)


OTHER = "sha256:" + "2" * 64


def test_a_complete_deployment_of_the_digest_is_verified() -> None:
    assert len(running("COMPLETED", DIGEST, DIGEST)) == 2


@pytest.mark.parametrize(
    ("rollout", "digests", "deployed", "problem"),
    [
        ("COMPLETED", [OTHER, OTHER], DIGEST, f"the service runs {OTHER}, not {DIGEST}: ECS rolled it back"),
        ("COMPLETED", [OTHER, OTHER], OTHER, f"another release has deployed {OTHER}"),
        ("FAILED", [DIGEST, DIGEST], DIGEST, "the deployment failed: circuit breaker"),
        ("IN_PROGRESS", [DIGEST, DIGEST], DIGEST, "not stable"),
        ("COMPLETED", [DIGEST], DIGEST, "1 of 2 tasks run"),
    ],
)
def test_other_tasks_or_fewer_are_not_verified(rollout: str, digests: list[str], deployed: str, problem: str) -> None:
    with pytest.raises(NotVerifiedError, match=problem):
        running(rollout, *digests, why="circuit breaker", deployed=deployed)


def test_a_service_scaled_to_nothing_is_not_verified() -> None:
    with pytest.raises(NotVerifiedError, match="0 of 0 tasks run"):
        running("COMPLETED", desired=0)


GONE = json.dumps(
    {
        "logger": "comments.errors",
        "message": "the store failed: table comments-dev: ResourceNotFoundException: non-existent table",
    }
)
OLD = "sha256:old"


@pytest.mark.parametrize(
    ("before", "way_back"),
    [
        (DIGEST, "the previous image is the same"),
        (OLD, "make deploy ENV=dev TAG=dev-0123456789ab"),
        (None, "no previous"),
    ],
)
def test_a_store_that_does_not_respond_is_explained_with_the_rollback_command(
    monkeypatch: pytest.MonkeyPatch, before: str | None, way_back: str
) -> None:
    began = time.time()

    def errors(_: Aws, *, since: float) -> tuple[str, ...]:
        assert since >= began, "errors before the release are not its own"
        return (GONE, GONE)

    images = SimpleNamespace(tags=lambda _: ["0123456789ab", "dev-0123456789ab"])
    monkeypatch.setattr(verify, "check_api", partial(verify.check_api, store_seconds=0))
    monkeypatch.setattr(verify, "running_tasks", lambda *_: [])
    monkeypatch.setattr(verify, "error_lines", errors)
    monkeypatch.setattr(Images, "of", lambda _: images)
    aws = Aws(STAGES["dev"], {}, "000000000000", "us-east-1")
    with server(health=[HEALTHY], thread=SILENT) as url:
        monkeypatch.setattr(stacks, "require_base_url", lambda _: url)
        with pytest.raises(StoreUnavailableError) as failed:
            verify.verify(aws, DIGEST, lambda _: None, before=before)
    cause, back = failed.value.details
    assert "table comments-dev is missing" in cause
    assert way_back in back
