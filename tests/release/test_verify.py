"""Accepted responses and tasks, and the rollback hint."""

import json
from dataclasses import replace
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from infra.config import WORKLOAD
from infra.model import Domain
from release import verify
from release.aws import Aws
from release.command import ReleaseError
from release.images import Images

URL = "http://example.com"
NOTE = "/notes/none"
DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64
HEALTHY = (200, b"up")
NO_NOTE = (404, b"no such note")
SILENT = (503, b"no table; retry shortly")


@pytest.fixture
def deployed(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A stage whose tasks run the digest, and whose log says that the table is missing."""
    error = "no table: notes-dev-pages: ResourceNotFoundException"
    monkeypatch.setattr(verify, "POLL_SECONDS", 0)
    monkeypatch.setattr(verify, "running_tasks", lambda *_: 2)
    monkeypatch.setattr(verify, "error_lines", lambda *_, **__: [json.dumps({"message": error})])
    return dev


@pytest.mark.parametrize(
    ("responses", "seconds", "problem"),
    [
        ([HEALTHY, NO_NOTE], 0, ""),
        ([HEALTHY, (200, b"a note")], 0, ""),
        ([ConnectionRefusedError(), (502, b"<html>"), HEALTHY, NO_NOTE], 60, ""),
        ([ConnectionRefusedError("refused")], 0, "/up failed: refused"),
        ([(200, b"<html>")], 0, "/up.*200: <html>"),
        ([HEALTHY, (404, b"<html>not found")], 0, f"{NOTE}.*404: <html>not found"),
        ([HEALTHY, SILENT], 60, f"{NOTE}.*503: no table"),
    ],
)
def test_the_service_must_respond_and_a_failing_table_is_not_waited_for_as_long(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, responses: list[object], seconds: float, problem: str
) -> None:
    monkeypatch.setattr(verify, "fetch", Mock(side_effect=responses))
    monkeypatch.setattr(verify, "base_url", lambda _: URL)
    monkeypatch.setattr(verify, "RESPONSE_SECONDS", seconds)
    monkeypatch.setattr(verify, "OUTAGE_SECONDS", 0)
    monkeypatch.setattr(Images, "verified_in", lambda *_, **__: ["dev-aaaaaaaaaaaa"])
    if not problem:
        assert verify.verify(deployed, DIGEST, images=Images(deployed)) == URL
        return
    with pytest.raises(ReleaseError, match=problem) as failed:
        verify.verify(deployed, DIGEST, images=Images(deployed))
    cause, rollback = failed.value.details
    assert cause.startswith("cause: the table notes-dev-pages is missing")
    assert "make deploy ENV=dev TAG=dev-aaaaaaaaaaaa" in rollback


def test_a_health_path_that_no_smoke_test_requests_must_respond_too(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If only `health_path` changes, ECS starts no deployment, and replaces healthy tasks later."""
    monkeypatch.setattr(verify, "WORKLOAD", replace(WORKLOAD, health_path="/wrong"))
    monkeypatch.setattr(verify, "fetch", lambda url: (404, b"") if url.endswith("/wrong") else HEALTHY)
    monkeypatch.setattr(verify, "base_url", lambda _: URL)
    monkeypatch.setattr(verify, "RESPONSE_SECONDS", 0)
    with pytest.raises(ReleaseError, match="/wrong failed: 404"):
        verify.verify(deployed, DIGEST, images=Images(deployed))


def test_causes_that_cannot_be_read_do_not_hide_the_failed_request(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "DescribeImages")
    monkeypatch.setattr(verify, "fetch", Mock(side_effect=ConnectionRefusedError("refused")))
    monkeypatch.setattr(verify, "base_url", lambda _: URL)
    monkeypatch.setattr(verify, "RESPONSE_SECONDS", 0)
    monkeypatch.setattr(verify, "error_lines", Mock(side_effect=denied))
    monkeypatch.setattr(Images, "verified_in", Mock(side_effect=denied))
    with pytest.raises(ReleaseError, match="/up failed: refused") as failed:
        verify.verify(deployed, DIGEST, images=Images(deployed))
    assert [line.startswith("some evidence is missing") for line in failed.value.details] == [True, True]


def test_the_dns_record_that_must_exist_is_printed_before_the_url_is_requested(
    deployed: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    domain = Domain(name="www.example.com", certificate_arn="arn")
    stage = replace(deployed.stage, domain=domain)
    record = "www.example.com CNAME 1.elb.amazonaws.com"
    monkeypatch.setattr(verify, "outputs", lambda *_: {"DnsRecord": record})
    monkeypatch.setattr(verify, "base_url", lambda _: URL)
    monkeypatch.setattr(verify, "fetch", Mock(side_effect=OSError("unknown name")))
    monkeypatch.setattr(verify, "RESPONSE_SECONDS", 0)
    monkeypatch.setattr(verify, "rollback_hint", lambda *_: "")
    aws = Aws(stage, deployed.account, deployed.region)
    with pytest.raises(ReleaseError, match="unknown name"):
        verify.verify(aws, DIGEST, images=Images(aws))
    assert f"this record must exist in the DNS: {record}" in capsys.readouterr().out


def running(aws: Aws, *digests: str) -> int:
    """Verify a service of which ECS says that it runs these, and that a task is starting."""
    service = {"deployments": [{"id": "ecs-svc/1"}], "runningCount": len(digests), "desiredCount": len(digests)}
    tasks = [
        {
            "lastStatus": "RUNNING",
            "containers": [{"name": "aws-guardduty-agent-x"}, {"name": "web", "imageDigest": digest}],
        }
        for digest in digests
    ]
    tasks.append({"lastStatus": "PENDING", "containers": [{"name": "web"}]})
    with Stubber(aws.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        for number, task in enumerate(tasks, start=1):  # one task per page
            more = {"nextToken": str(number)} if number < len(tasks) else {}
            stubber.add_response("list_tasks", {"taskArns": ["arn:aws:ecs:::task/1"]} | more)
            stubber.add_response("describe_tasks", {"tasks": [task]})
        return verify.running_tasks(aws, DIGEST)


def test_a_service_that_does_not_become_stable_is_told_from_an_error_of_aws(
    dev: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "TASKS_SECONDS", verify.POLL_SECONDS)  # looks once
    deployments = [{"id": "1", "rolloutStateReason": "still in progress"}, {"id": "2"}]
    service = {"deployments": deployments, "runningCount": 1, "desiredCount": 2}
    with Stubber(dev.ecs) as stubber:
        stubber.add_response("describe_services", {"services": [service]})
        with pytest.raises(ReleaseError, match="not stable: 1 of 2 tasks run; still in progress"):
            verify.running_tasks(dev, DIGEST)
        stubber.add_client_error("describe_services", "ExpiredTokenException")
        with pytest.raises(ClientError, match="ExpiredToken"):
            verify.running_tasks(dev, DIGEST)


def test_a_deployment_is_verified_if_all_tasks_run_its_digest(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    assert running(dev, DIGEST, DIGEST) == 2
    for digests, last, problem in (
        ([DIGEST, OTHER], DIGEST, f"the service runs {OTHER}, not {DIGEST}: ECS rolled it back"),
        ([OTHER, OTHER], OTHER, f"another release has deployed {OTHER}"),
        ([], DIGEST, "no running tasks"),
    ):
        monkeypatch.setattr(verify, "running_digest", Mock(return_value=last))
        with pytest.raises(ReleaseError, match=problem):
            running(dev, *digests)
