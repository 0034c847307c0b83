"""Deleting stages, and protection of prod."""

import sys
from unittest.mock import Mock

import pytest

from release import __main__ as command
from release import deploy
from release import destroy as module
from release.aws import Aws
from release.command import NotReadyError, ReleaseError
from release.destroy import empty_bucket
from tests.infra.synthesis import templates
from tests.repository import run

NOT_CONFIRMED = "was not destroyed: type its name"


@pytest.mark.parametrize(
    ("stage", "confirm", "typed", "message"),
    [
        ("prod", "prod", "", "set protect=False"),
        ("dev", "", "", NOT_CONFIRMED),
        ("dev", "yes", "", NOT_CONFIRMED),
        ("dev", "dev", "", "confirmed"),
        ("dev", "", "prod", NOT_CONFIRMED),
        ("dev", "", "dev", "confirmed"),
        ("playground", "", "", "confirmed"),
    ],
)
def test_a_stage_is_destroyed_unprotected_and_by_its_name_alone_which_a_person_at_a_terminal_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, stage: str, confirm: str, typed: str, message: str
) -> None:
    monkeypatch.setenv("CONFIRM", confirm)
    monkeypatch.setattr("sys.stdin.isatty", lambda: bool(typed))
    monkeypatch.setattr("builtins.input", lambda _: typed)
    monkeypatch.setattr(Aws, "of", Mock(side_effect=NotReadyError("confirmed")))  # the next step
    monkeypatch.setattr(sys, "argv", ["release", "destroy", stage])
    monkeypatch.setattr(command, "run_command", lambda _, run, **__: run())
    with pytest.raises(NotReadyError, match=message):
        command.main()


def test_a_stage_that_is_destroyed_keeps_nothing_that_is_billed() -> None:
    for template in (templates("dev").data, templates("dev").service):
        resources = template.to_json()["Resources"]
        assert {resource.get("DeletionPolicy", "Delete") for resource in resources.values()} == {"Delete"}
        for protected in ("'DeletionProtectionEnabled': True", "'deletion_protection.enabled', 'Value': 'true'"):
            assert protected not in str(resources)


def test_a_stage_that_is_not_there_is_destroyed_already(playground_environment: dict[str, str]) -> None:
    done = run("release", "destroy", "playground", env=playground_environment)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("not deployed") == 2


def test_a_stage_whose_rollback_failed_can_be_destroyed(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """CloudFormation deletes such a stack, although it can't be updated."""
    stuck = {"Stacks": [{"StackName": "x", "StackStatus": "UPDATE_ROLLBACK_FAILED"}]}
    monkeypatch.setattr(aws.cloudformation, "describe_stacks", lambda **_: stuck)
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    deleted = Mock()
    monkeypatch.setattr(deploy, "destroy", deleted)
    module.destroy(aws.stage, confirmed="")
    assert [call.args[1] for call in deleted.call_args_list] == [aws.stage.service_stack, aws.stage.foundation_stack]


def test_objects_that_s3_does_not_delete_are_a_failure(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS responds to the deletion of many objects with 200 and a list of errors."""
    s3 = aws.untyped("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="alb/line", Body=b"a line")
    refusal = {"Errors": [{"Key": "alb/line", "Code": "AccessDenied", "Message": "Access Denied"}]}
    monkeypatch.setattr(Aws, "untyped", lambda *_: s3)
    with monkeypatch.context() as patched:
        patched.setattr(s3, "delete_objects", lambda **_: refusal)
        with pytest.raises(ReleaseError, match=r"1 of 1 objects of kept \(AccessDenied\).*s3:DeleteObject"):
            empty_bucket(aws, "kept")
    empty_bucket(aws, "kept")
    s3.delete_bucket(Bucket="kept")  # which fails for one that is not empty
    empty_bucket(aws, "kept")
