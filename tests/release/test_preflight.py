"""Failed prerequisites stop a release before any change, with one line and exit status 2."""

import shutil
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import Mock

import pytest
from botocore.exceptions import ClientError

from release import __main__ as command
from release.aws import Aws
from release.build import describe_change
from release.errors import NotReadyError
from tests.release.conftest import commit_all, git, nobody, run


def refused(project: Path, environment: dict[str, str], *arguments: str) -> str:
    """Return what a release says that stops before anything is changed."""
    done = run("release", *arguments, cwd=project, env=environment)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["prd"], {}, "did you mean prod?"),
        (["prod"], {}, "or allow_http=True"),
        (["dev", "--tag", "latest"], {}, "--tag latest: expected the 12 digits of a commit"),
        (["dev", "--step", "ship"], {}, "argument --step: invalid choice: 'ship'"),
        (["dev"], {}, "no AWS credentials: sign in"),
        (["dev"], {"AWS_PROFILE": "nowhere"}, "profile (nowhere) could not be found"),
        (["dev"], {"AWS_ENDPOINT_URL_ECS": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL_ECS is set"),
        (["playground"], {"PLAYGROUND_DIR": "/nowhere", "AWS_PROFILE": "mine"}, "make playground"),
    ],
)
def test_what_is_missing_is_named(
    project: Path, tmp_path: Path, arguments: list[str], variables: dict[str, str], message: str
) -> None:
    assert message in refused(project, nobody(tmp_path) | variables, *arguments)


def test_uncommitted_files_are_named(copy: Path, tmp_path: Path) -> None:
    (copy / "app" / "api.py").write_text("raise SystemExit\n")
    for number in range(30):
        (copy / f"new-{number:02}").write_text("x")
    said = refused(copy, nobody(tmp_path), "dev")
    # The templates would be those of the working tree, whatever the image.
    assert "uncommitted changes" in refused(copy, nobody(tmp_path), "dev", "--tag", "0123456789ab")
    assert "app/api.py" in said
    assert "new-00" in said
    assert "and 21 more" in said
    shutil.rmtree(copy / ".git")
    assert "no git commit here" in refused(copy, nobody(tmp_path), "dev")


@pytest.mark.parametrize(
    ("deployed", "quota", "fails"),
    [(False, 6, False), (False, 5, True), (False, None, True), (True, 5, False)],
    ids=["a new stage", "one too many", "an unknown quota", "a deployed stage"],
)
def test_an_exceeded_vpc_quota_fails_before_anything_is_created(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, deployed: bool, quota: float | None, fails: bool
) -> None:
    client = Mock()
    paginate = client.get_paginator("describe_vpcs").paginate
    paginate.return_value = [{"Vpcs": [1, 2, 3]}, {"Vpcs": [4, 5]}]
    denied = ClientError({"Error": {"Code": "AccessDenied"}}, "GetServiceQuota")
    client.get_service_quota.side_effect = [{"Quota": {"Value": quota}}] if quota else denied
    monkeypatch.setattr(Aws, "untyped", lambda *_: client)
    monkeypatch.setattr(command, "describe", lambda _, name: deployed and name == dev.stage.service_stack)
    with pytest.raises(NotReadyError, match=r"has 5 of 5 VPCs.*make reap") if fails else nullcontext():
        command.require_vpc_quota(dev)
    assert deployed or paginate.call_args[1] == {"Filters": [{"Name": "owner-id", "Values": [dev.account]}]}


def test_a_rollback_names_each_commit_that_it_adds_or_undoes(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commits: list[str] = []
    for name in ("one", "two", "three", "beside"):
        if name == "beside":
            git(tmp_path, "checkout", "--quiet", "-b", name, commits[0])
        (tmp_path / name).touch()
        commits.append(commit_all(tmp_path))
    one, two, three, beside = commits
    _, *changes, _ = describe_change("prod", ["foreign", one, f"prod-{three}"], f"dev-{beside}", root=tmp_path)
    assert sorted(changes) == sorted([f"  > {beside} a commit", f"  < {three} a commit", f"  < {two} a commit"])
    # This clone doesn't have the running commit.
    heading, advice, _ = describe_change("prod", ["prod-0123456789ab"], one, root=tmp_path)
    assert f"from 0123456789ab to {one}" in heading
    assert "`git fetch`" in advice
