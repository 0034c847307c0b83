"""Accepted responses and tasks, and the rollback hint."""

import json
from collections.abc import Sequence
from functools import partial

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from release import verify
from release.aws import Aws
from release.errors import NotVerifiedError
from release.images import Images
from tests.release.conftest import serve

Response = tuple[int, str]
DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
HEALTHY = (200, '{"status": "OK"}')
NO_COMMENTS = (404, '{"status": "NOT-FOUND", "message": "content_id 1 not found"}')
GOOD_STATUS = (200, '{"status": "OK", "store": {"status": "OK"}}')
SILENT = (503, '{"status": "UNAVAILABLE", "message": "comments are temporarily unavailable; retry shortly"}')
DEGRADED = (200, '{"status": "DEGRADED", "store": {"status": "UNAVAILABLE", "reason": "AccessDeniedException"}}')


@pytest.fixture
def deployed(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A stage whose tasks run the digest, and which has run another image before."""
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)
    monkeypatch.setattr(verify, "running_tasks", lambda *_: 2)
    monkeypatch.setattr(verify, "error_lines", lambda *_, **__: [])
    monkeypatch.setattr(verify, "wait_for", partial(verify.wait_for, seconds=60, store_seconds=0))
    monkeypatch.setattr(Images, "verified_in", lambda *_, **__: ["dev-aaaaaaaaaaaa"])
    return dev


def verified(
    aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
    *,
    health: Sequence[Response] = (HEALTHY,),
    thread: Response = NO_COMMENTS,
    status: Response = GOOD_STATUS,
) -> None:
    """Verify a stage whose API responds so, to health checks in turn."""
    checks = iter(health)

    def respond(path: str) -> Response:
        return next(checks) if path == "/healthz" else thread if "/list/" in path else status

    with serve(respond) as url:
        monkeypatch.setattr(verify, "base_url", lambda _: url)
        assert verify.verify(aws, DIGEST) == url


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
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, health: list[Response], thread: Response, status: Response
) -> None:
    verified(deployed, monkeypatch, health=health, thread=thread, status=status)


@pytest.mark.parametrize("thread", [(404, "<html>not found"), (404, '{"status": "OTHER"}'), (200, "{}")])
def test_another_response_is_not_verified_and_the_rollback_command_is_named(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, thread: Response
) -> None:
    monkeypatch.setattr(verify, "wait_for", partial(verify.wait_for, seconds=0))
    with pytest.raises(NotVerifiedError, match="/api/comment/list/") as failed:
        verified(deployed, monkeypatch, thread=thread)
    assert "make deploy ENV=dev TAG=dev-aaaaaaaaaaaa" in failed.value.details[-1]


def test_an_address_that_does_not_respond_is_not_verified(deployed: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "wait_for", partial(verify.wait_for, seconds=0))
    monkeypatch.setattr(verify, "base_url", lambda _: "http://127.0.0.1:1")
    monkeypatch.setattr(Images, "verified_in", lambda *_, **__: [])
    with pytest.raises(NotVerifiedError, match="/healthz does not respond") as failed:
        verify.verify(deployed, DIGEST)
    assert "no other image" in failed.value.details[-1]


@pytest.mark.parametrize("thread", [SILENT, NO_COMMENTS])
def test_a_store_that_does_not_respond_is_explained_and_not_waited_for_as_long(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, thread: Response
) -> None:
    error = "the store failed: table comments-dev: ResourceNotFoundException: non-existent table"
    monkeypatch.setattr(verify, "error_lines", lambda *_, **__: [json.dumps({"message": error})])
    with pytest.raises(NotVerifiedError) as failed:
        verified(deployed, monkeypatch, thread=thread, status=DEGRADED)
    assert "cause: the table comments-dev is missing" in failed.value.details[0]


def running(aws: Aws, *digests: str) -> int:
    """Verify a service of which ECS says that it runs these, and that a task is starting."""
    service = {"deployments": [{"id": "ecs-svc/1"}], "runningCount": len(digests), "desiredCount": len(digests)}
    tasks = [{"lastStatus": "RUNNING", "containers": [{"imageDigest": digest}]} for digest in digests]
    tasks.append({"lastStatus": "PENDING", "containers": [{"name": "api"}]})
    with Stubber(aws.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        stubber.add_response("list_tasks", {"taskArns": ["arn:aws:ecs:::task/1"]})
        stubber.add_response("describe_tasks", {"tasks": tasks})
        return verify.running_tasks(aws, DIGEST)


def test_a_complete_deployment_of_the_digest_is_verified_while_autoscaling_starts_a_task(dev: Aws) -> None:
    assert running(dev, DIGEST, DIGEST) == 2


def test_an_error_of_aws_is_not_called_an_unstable_service(dev: Aws) -> None:
    with Stubber(dev.ecs) as stubber:
        stubber.add_client_error("describe_services", "ExpiredTokenException")
        with pytest.raises(ClientError, match="ExpiredToken"):
            verify.running_tasks(dev, DIGEST)


def test_a_service_that_does_not_become_stable_is_described(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "TASKS_SECONDS", verify.POLL_SECONDS)  # looks once
    deployments = [{"id": "1", "rolloutStateReason": "still in progress"}, {"id": "2"}]
    service = {"deployments": deployments, "runningCount": 1, "desiredCount": 2}
    with Stubber(dev.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        with pytest.raises(NotVerifiedError, match="not stable: 1 of 2 tasks run; still in progress"):
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
