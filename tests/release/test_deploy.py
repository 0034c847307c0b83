"""How the CDK CLI is called, and releases that overtake each other."""

from collections.abc import Mapping

import pytest

from release import deploy
from release.aws import Aws
from release.deploy import Cdk
from release.errors import CommandError, DeploymentError

DIGEST = "sha256:" + "0" * 64


def test_the_image_is_a_parameter_of_the_service_stack(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    validations: list[str | None] = []

    def cdk(command: list[str], *, environment: Mapping[str, str], **_: object) -> list[str]:
        commands.append(command)
        validations.append(environment.get("CDK_VALIDATION"))
        return []

    monkeypatch.setattr(deploy, "run", cdk)
    Cdk(aws, print).deploy("registry", "data")
    Cdk(aws, print).deploy("service", digest=DIGEST)
    foundation, service = commands
    assert not [argument for argument in foundation if argument.startswith("--parameters")]
    assert f"--parameters=CommentsService-playground:ImageDigest={DIGEST}" in service
    assert "--context=stage=playground" in service
    assert validations == [None, "false"], "templates are validated once"


# CloudFormation's messages: https://github.com/remind101/empire/issues/932, https://github.com/aws/aws-cdk/issues/26182
# and https://github.com/aws/aws-cdk/issues/6674
OVERTAKEN = [
    "ValidationError: Stack:arn:aws:cloudformation:::stack/x/y is in UPDATE_IN_PROGRESS state and can not be updated.",
    "InvalidChangeSetStatus: An operation on this ChangeSet is currently in progress.",
    "ChangeSetNotFound: ChangeSet [cdk-deploy-change-set] does not exist",
]


def attempts(aws: Aws, monkeypatch: pytest.MonkeyPatch, *failures: str) -> int:
    """Deploy with a CLI that fails with these messages in turn, and return how often it ran."""
    left, runs = list(failures), 0

    def cdk(*_: object, **__: object) -> list[str]:
        nonlocal runs
        runs += 1
        if left:
            raise CommandError("cdk deploy ended with status 1", left.pop(0))
        return []

    monkeypatch.setattr(deploy, "run", cdk)
    Cdk(aws, print).deploy("no-such-stack")
    return runs


@pytest.mark.parametrize("message", OVERTAKEN)
def test_a_release_retries_after_a_concurrent_update(aws: Aws, monkeypatch: pytest.MonkeyPatch, message: str) -> None:
    assert attempts(aws, monkeypatch, message, message) == 3


def test_a_release_gives_up_after_repeated_concurrent_updates(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError) as failed:
        attempts(aws, monkeypatch, *OVERTAKEN * 2)
    assert OVERTAKEN[1] in failed.value.details


def test_another_failure_is_not_retried(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeploymentError) as failed:
        attempts(aws, monkeypatch, "Template error", "another run")
    assert failed.value.details == ("Template error",)
