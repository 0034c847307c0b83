"""How the CDK CLI is called for the stacks of a release."""

from collections.abc import Mapping

import pytest

from release import deploy
from release.aws import Aws
from release.deploy import Cdk

DIGEST = "sha256:" + "0" * 64


def test_the_image_is_a_parameter_of_the_service_stack(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def cdk(command: list[str], **_: object) -> list[str]:
        commands.append(command)
        return []

    monkeypatch.setattr(deploy, "run", cdk)
    Cdk(aws, str).deploy("registry", "data")
    Cdk(aws, str).deploy("service", digest=DIGEST)
    groundwork, service = commands
    assert not [argument for argument in groundwork if argument.startswith("--parameters")]
    assert f"--parameters=CommentsService-playground:ImageDigest={DIGEST}" in service
    assert [argument for argument in service if "--context" in argument] == ["--context=stage=playground"]


def test_templates_are_validated_before_there_is_an_image_and_not_again(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    validations: list[str | None] = []

    def cdk(_command: object, *, environment: Mapping[str, str], **_: object) -> list[str]:
        validations.append(environment.get("CDK_VALIDATION"))
        assert environment.items() >= aws.environment.items()
        return []

    monkeypatch.setattr(deploy, "run", cdk)
    Cdk(aws, str).deploy("registry", "data")
    Cdk(aws, str).deploy("service", digest=DIGEST)
    assert validations == [None, "false"]
