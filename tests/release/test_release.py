"""`python -m release`: idempotence, its phases, rollbacks, and pushes that overtake each other.

AWS's APIs are MiniStack's. Docker and the CDK CLI only record how they were called; tests/playground runs them.
"""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock, Mock, call

import pytest

from infra.config import REPOSITORY, TOOLKIT_STACK
from release import __main__ as command
from release import build, deploy, explain
from release.__main__ import Phase, Plan, check_scan, release
from release.aws import Aws
from release.command import CommandError, DeploymentError, NotReadyError, ReleaseError, run
from release.evidence import Evidence, StoppedTask
from release.images import Images
from tests.release.account import ACCOUNT, REGION, Create, store_image

COMMIT = "0123456789ab"
DIGEST = "sha256:" + "1" * 64
LOGIN = {"DOCKER_CONFIG": "/somewhere"}


@pytest.fixture
def docker_push(aws: Aws, images: Images) -> Mock:  # noqa: ARG001  # the registry
    """What Docker does with the tag of an image that it pushes."""
    return Mock(side_effect=lambda tag: store_image(aws, tag))


@pytest.fixture
def called(aws: Aws, docker_push: Mock, create: Create, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A bootstrapped account without a service, whose deployments can be verified.

    Return the calls of Docker and of the CDK CLI, which are only recorded.
    """
    calls: list[str] = []

    def record(arguments: list[str], **options: Any) -> list[str]:
        if arguments[0] not in {"docker", "cdk"}:
            return run(arguments, **options)
        if arguments[1] == "push":
            docker_push(arguments[2].rpartition(":")[2])
        calls.append(" ".join(part for part in arguments if not part.startswith(("--output=", "--change-set-name="))))
        return ["unix:///var/run/docker.sock"]

    create(TOOLKIT_STACK)
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    monkeypatch.setattr(build, "run", record)
    monkeypatch.setattr(build, "source_of_image", lambda: (COMMIT, "0"))  # a workflow's clone may be shallow
    monkeypatch.setattr(deploy, "run", record)
    monkeypatch.setattr(command, "run_before_rollout", lambda *_: calls.append("the workload's command"))
    monkeypatch.setattr(command, "verify", lambda *_, **__: "http://example.com")
    return calls


def plan_of(aws: Aws) -> Plan:
    return Plan(aws=aws, images=Images(aws), tag=COMMIT, builds=False, digest=DIGEST, running=None)


def tags(aws: Aws) -> list[str]:
    details = aws.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
    return sorted(tag for image in details for tag in image["imageTags"])


def test_a_second_release_of_a_commit_builds_nothing_and_changes_nothing(aws: Aws, called: list[str]) -> None:
    release(aws.stage, tag=None)
    deployed, tagged = called[-2], tags(aws)
    called.clear()
    release(aws.stage, tag=None)
    assert called == [deployed], "the same templates with the same digest, which CloudFormation does not change"
    assert tags(aws) == tagged
    commit, verified, tried = tagged
    assert (verified, tried) == (f"playground-{commit}", f"try.playground-{commit}")


@pytest.mark.parametrize(
    ("running", "verified", "expected"),
    [
        (None, False, ["cdk", "the workload's command"]),  # a new stage has no network and roles yet
        ("sha256:2", False, ["the workload's command", "cdk"]),
        ("sha256:2", True, ["cdk"]),
    ],
    ids=["first deployment", "new image", "rollback"],
)
def test_a_new_image_runs_the_workloads_command_before_its_rollout(
    aws: Aws, called: list[str], running: str | None, *, verified: bool, expected: list[str]
) -> None:
    plan = replace(plan_of(aws), digest=store_image(aws, COMMIT), running=running)
    if verified:
        plan.images.add_tag(str(plan.digest), plan.verified_tag)
    command.deploy_image(plan, str(plan.digest))
    assert [each if each.startswith("the") else each.split()[0] for each in called] == expected


@pytest.mark.usefixtures("called")
def test_a_command_that_fails_stops_the_release(aws: Aws, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(explain, "EXPLANATION", tmp_path / "explanation.json")
    failure = DeploymentError("`notes migrate` failed before the rollout", "cause: no column")
    monkeypatch.setattr(command, "run_before_rollout", Mock(side_effect=failure))
    rollout = Mock()
    monkeypatch.setattr(command, "deploy_and_watch", rollout)
    digest = store_image(aws, COMMIT)
    with pytest.raises(DeploymentError, match="notes migrate"):
        command.deploy_image(replace(plan_of(aws), running="sha256:2"), digest)
    rollout.assert_not_called()
    assert "no column" in explain.EXPLANATION.read_text()


def test_a_push_deploys_the_registry_only_if_the_repository_is_missing(
    aws: Aws, called: list[str], docker_push: Mock
) -> None:
    release(aws.stage, tag=None, only=Phase.PUSH)
    assert [call.split()[1] for call in called] == ["version", "build", "context", "push"]
    called.clear()
    aws.ecr.delete_repository(repositoryName=REPOSITORY, force=True)
    docker_push.side_effect = lambda _: aws.ecr.create_repository(repositoryName=REPOSITORY)
    with pytest.raises(NotReadyError, match="has no image"):
        release(aws.stage, tag=None, only=Phase.PUSH)
    assert [call.split()[1] for call in called] == ["version", "build", "deploy", "context", "push"]


def test_the_phases_together_are_a_release(aws: Aws, called: list[str]) -> None:
    release(aws.stage, tag=None)
    whole, tagged = [*called], tags(aws)
    called.clear()
    image_ids: list[Any] = [{"imageTag": tag} for tag in tagged]
    aws.ecr.batch_delete_image(repositoryName=REPOSITORY, imageIds=image_ids)
    for phase in Phase:
        release(aws.stage, tag=None, only=phase)
    assert list(dict.fromkeys(called)) == whole
    assert tags(aws) == tagged


def test_a_deployment_alone_needs_an_image_in_the_registry(aws: Aws, called: list[str]) -> None:
    with pytest.raises(NotReadyError, match="run STEP=push first"):
        release(aws.stage, tag=None, only=Phase.DEPLOY)
    assert called == []


def test_a_rollback_deploys_the_image_of_its_tag(aws: Aws, called: list[str]) -> None:
    digest = store_image(aws, COMMIT)
    release(aws.stage, tag=COMMIT)
    assert f"ImageDigest={digest}" in called[0]
    assert tags(aws) == [COMMIT, f"playground-{COMMIT}", f"try.playground-{COMMIT}"]
    with pytest.raises(NotReadyError, match="no image dev-ffffffffffff") as refused:
        release(aws.stage, tag="dev-ffffffffffff")
    assert f"playground-{COMMIT}" in refused.value.details[0]


@pytest.mark.usefixtures("called")
@pytest.mark.parametrize("pushed_by_another", [True, False])
def test_a_concurrent_push_of_the_same_tag_is_reused(aws: Aws, docker_push: Mock, pushed_by_another: bool) -> None:
    def refuse(tag: str) -> None:
        if pushed_by_another:
            store_image(aws, tag)
        raise CommandError("docker push ended with status 1", "tag invalid: it already exists")

    docker_push.side_effect = refuse
    with nullcontext() if pushed_by_another else pytest.raises(CommandError, match="docker push"):
        release(aws.stage, tag=None)


@pytest.mark.usefixtures("called")
def test_a_failed_deployment_names_its_cause(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    store_image(aws, COMMIT)
    expired = CommandError("cdk ended with status 1", "Error: The security token included in the request is expired")
    monkeypatch.setattr(deploy, "run", Mock(side_effect=expired))
    with pytest.raises(DeploymentError) as failed:
        release(aws.stage, tag=COMMIT)
    assert failed.value.details[0].startswith("cause: the AWS credentials have expired")
    assert tags(aws) == [COMMIT, f"try.playground-{COMMIT}"], "kept while it may run, but not verified"
    with pytest.raises(NotReadyError, match="expected the 12 digits of a commit"):
        release(aws.stage, tag=f"try.playground-{COMMIT}")


def test_tasks_that_failed_after_the_last_deployment_are_explained(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """ECS rolls a restart by hand back without CloudFormation."""
    evidence = Evidence(stopped=[StoppedTask("1", "EssentialContainerExited", (), 3, ("error: no key",))])
    watch = Mock(return_value=Mock(look_back=lambda: evidence))
    monkeypatch.setattr(explain, "EXPLANATION", tmp_path / "explanation.json")
    monkeypatch.setattr(command, "Watch", watch)
    monkeypatch.setattr(command, "last_operation", lambda *_: (0.0, "NotesService-playground: UPDATE_COMPLETE", []))
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    command.explain_last(aws.stage)
    said = capsys.readouterr().out
    assert "UPDATE_COMPLETE, but tasks have failed in the last hour" in said
    assert "web exits with status 3: no key" in said
    assert watch.call_args.kwargs["since"] > 0, "the log of days would be read"
    by_others = ("UserInitiated", "SpotInterruption", "TerminationNotice", "InfrastructureHealth")
    evidence.stopped[:] = [StoppedTask("2", code, (), 0) for code in by_others]
    command.explain_last(aws.stage)
    assert "nothing failed" in capsys.readouterr().out


@pytest.mark.parametrize(("stack", "shown"), [("NotesService-playground", True), ("NotesFoundation-playground", False)])
def test_what_happens_in_the_service_explains_no_failure_of_another_stack(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, stack: str, shown: bool
) -> None:
    watch = MagicMock(evidence=Evidence(events=["has started 2 tasks"]))
    watch.__exit__.return_value = False
    monkeypatch.setattr(command, "Watch", lambda *_, **__: watch)
    monkeypatch.setattr(command, "deploy", Mock(side_effect=DeploymentError(f"{stack}: it failed", "Table: reason")))
    plan = plan_of(aws)
    with pytest.raises(DeploymentError) as failed:
        command.deploy_and_watch(plan, stack)
    events = ["service event: has started 2 tasks"] if shown else []
    assert failed.value.details == ("CloudFormation: Table: reason", *events)


@pytest.mark.parametrize(("verified_in", "released"), [("dev", True), ("try.dev", False), ("other", False)])
def test_a_rollback_does_not_wait_for_a_vulnerability_that_was_found_since(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, verified_in: str, released: bool
) -> None:
    trivy = Mock(side_effect=ReleaseError("the scan found 1 critical"))
    monkeypatch.setattr(command, "scan", trivy)
    monkeypatch.setattr(command, "registry_login", lambda _: nullcontext(LOGIN))
    monkeypatch.setattr(Images, "tags", lambda *_: [COMMIT, f"{verified_in}-{COMMIT}"])
    plan = plan_of(dev)
    with nullcontext() if released else pytest.raises(ReleaseError, match="1 critical"):
        assert "has run this image before" in check_scan(plan, DIGEST)
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/notes@{DIGEST}"
    expected = call("image", "--image-src=remote", image, severity=dev.stage.blocking_severity, variables=LOGIN)
    assert trivy.mock_calls == ([] if released else [expected])
