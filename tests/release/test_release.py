"""`python -m release`: idempotence, its phases, rollbacks, and pushes that overtake each other.

AWS's APIs are MiniStack's. Docker and the CDK CLI only record how they were called; tests/playground runs them.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from infra.stages import TOOLKIT_STACK, Severity
from release import __main__ as command
from release import build, deploy
from release.__main__ import Phase, Plan, check_scan, release
from release.aws import Aws
from release.command import run
from release.errors import CommandError, DeploymentError, NotReadyError, ScanError
from release.images import Gate, Images
from release.watch import Evidence
from tests.release.conftest import Create, store_image

COMMIT = "0123456789ab"


@dataclass
class Tools:
    """Docker and the CDK CLI, which only record how they were called."""

    aws: Aws
    called: list[str] = field(default_factory=list)
    push: Callable[[str], object] = lambda _tag: None
    """What Docker does on a push."""
    failure: str = ""
    """Output of a `cdk deploy` that fails."""

    def run(self, called: list[str], **options: Any) -> list[str]:
        if called[0] not in {"docker", "cdk"}:
            return run(called, **options)
        if called[1] == "push":
            self.push(called[2].rpartition(":")[2])
        if self.failure:
            raise CommandError("cdk deploy ended with status 1", self.failure)
        self.called.append(" ".join(part for part in called if not part.startswith("--output=")))
        return ["unix:///var/run/docker.sock"]

    def release(self, tag: str | None = None, only: Phase | None = None) -> list[str]:
        """Release, and return the calls."""
        self.called.clear()
        release(self.aws.stage, tag=tag, only=only)
        return [*self.called]


@pytest.fixture
def tools(aws: Aws, images: Images, create: Create, monkeypatch: pytest.MonkeyPatch) -> Tools:  # noqa: ARG001  # the registry
    """A bootstrapped account without a service, whose scans find nothing and whose deployments can be verified."""
    tools = Tools(aws, push=lambda tag: store_image(aws, tag))
    create(TOOLKIT_STACK)
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    monkeypatch.setattr(build, "run", tools.run)
    monkeypatch.setattr(deploy, "run", tools.run)
    monkeypatch.setattr(command, "wait_for_scan", lambda *_: "no findings")
    monkeypatch.setattr(command, "verify", lambda *_, **__: "http://example.com")
    return tools


def tags(aws: Aws) -> list[str]:
    details = aws.ecr.describe_images(repositoryName=aws.stage.image_repository)["imageDetails"]
    return sorted(tag for image in details for tag in image["imageTags"])


def test_a_second_release_of_a_commit_builds_nothing_and_changes_nothing(tools: Tools) -> None:
    first, tagged = tools.release(), tags(tools.aws)
    assert tools.release() == first[-1:], (
        "the same templates with the same digest, which CloudFormation does not change"
    )
    assert tags(tools.aws) == tagged
    commit, verified = tagged
    assert verified == f"playground-{commit}"


def test_the_phases_together_are_a_release(tools: Tools) -> None:
    whole, tagged = tools.release(), tags(tools.aws)
    tools.aws.ecr.batch_delete_image(
        repositoryName=tools.aws.stage.image_repository, imageIds=[{"imageTag": tag} for tag in tagged]
    )
    parts = [call for phase in Phase for call in tools.release(only=phase)]
    assert list(dict.fromkeys(parts)) == whole
    assert tags(tools.aws) == tagged


def test_a_deployment_alone_needs_an_image_in_the_registry(tools: Tools) -> None:
    with pytest.raises(NotReadyError, match="run STEP=push first"):
        tools.release(only=Phase.DEPLOY)
    assert tools.called == []


def test_a_rollback_deploys_the_image_of_its_tag(tools: Tools) -> None:
    digest = store_image(tools.aws, COMMIT)
    (deployed,) = tools.release(COMMIT)
    assert f"ImageDigest={digest}" in deployed
    assert tags(tools.aws) == [COMMIT, f"playground-{COMMIT}"]
    with pytest.raises(NotReadyError, match="no image dev-ffffffffffff") as refused:
        tools.release("dev-ffffffffffff")
    assert f"playground-{COMMIT}" in refused.value.details[0]


@pytest.mark.parametrize("pushed_by_another", [True, False])
def test_a_concurrent_push_of_the_same_tag_is_reused(tools: Tools, pushed_by_another: bool) -> None:
    def refuse(tag: str) -> None:
        if pushed_by_another:
            store_image(tools.aws, tag)
        raise CommandError("docker push ended with status 1", "tag invalid: it already exists")

    tools.push = refuse
    with nullcontext() if pushed_by_another else pytest.raises(CommandError, match="docker push"):
        tools.release()


def test_a_failed_deployment_names_its_cause(tools: Tools) -> None:
    store_image(tools.aws, COMMIT)
    tools.failure = "Error: The security token included in the request is expired"
    with pytest.raises(DeploymentError) as failed:
        tools.release(COMMIT)
    assert failed.value.details[0].startswith("cause: the AWS credentials have expired")
    assert tags(tools.aws) == [COMMIT], "it is not verified"


@pytest.mark.parametrize(
    ("stack", "shown"), [("CommentsService-playground", True), ("CommentsFoundation-playground", False)]
)
def test_what_happens_in_the_service_explains_no_failure_of_another_stack(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, stack: str, shown: bool
) -> None:
    watch = MagicMock(evidence=Evidence(events=["has started 2 tasks"]))
    watch.__exit__.return_value = False
    monkeypatch.setattr(command, "Watch", lambda _: watch)
    monkeypatch.setattr(command, "base_url", lambda _: None)
    monkeypatch.setattr(command, "deploy", Mock(side_effect=DeploymentError(f"{stack}: it failed", "Table: reason")))
    plan = Plan(aws=aws, tag=COMMIT, builds=False, gate=Gate(Severity.CRITICAL, {}, date(2026, 3, 1)))
    with pytest.raises(DeploymentError) as failed:
        command.deploy_and_watch(plan, stack)
    events = ["service event: has started 2 tasks"] if shown else []
    assert failed.value.details == ("CloudFormation: Table: reason", *events)


@pytest.mark.parametrize(("verified_in", "released"), [("playground", True), ("pr-7", False)])
def test_a_rollback_does_not_wait_for_a_vulnerability_that_was_found_since(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, verified_in: str, released: bool
) -> None:
    monkeypatch.setattr(command, "wait_for_scan", Mock(side_effect=ScanError("the scan found 1 critical")))
    monkeypatch.setattr(Images, "tags", lambda *_: [COMMIT, f"{verified_in}-{COMMIT}"])
    plan = Plan(aws=aws, tag=COMMIT, builds=False, gate=Gate(Severity.CRITICAL, {}, date(2026, 3, 1)))
    with nullcontext() if released else pytest.raises(ScanError):
        assert "has run it before" in check_scan(plan, "sha256:1")
