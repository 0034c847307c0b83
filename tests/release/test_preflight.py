"""Failed prerequisites stop a release before any change, with one line and exit status 2."""

import shutil
import uuid
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from release.aws import Aws
from release.errors import NotReadyError
from release.preflight import describe_change, require_vpc_quota
from tests.release.conftest import commit_all, git, nobody, run


def refused(project: Path, environment: Mapping[str, str], *arguments: str) -> str:
    """Return what a release says that stops before anything is changed."""
    done = run("release", *arguments, cwd=project, environment=environment)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["prd"], {}, "did you mean prod?"),
        (["prod"], {}, "or allow_http=True"),
        (["dev", "--tag", "latest"], {}, "--tag latest: expected the 12 digits of a commit"),
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


def test_uncommitted_files_are_named(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    (copy / "app" / "api.py").write_text("raise SystemExit\n")
    for number in range(30):
        (copy / f"new-{number:02}").write_text("x")
    said = refused(copy, nobody(tmp_path), "dev")
    assert "app/api.py" in said
    assert "new-00" in said
    assert "and 21 more" in said
    shutil.rmtree(copy / ".git")
    assert "no git commit here" in refused(copy, nobody(tmp_path), "dev")


# ---- the quota of VPCs ----


def preview(aws: Aws, monkeypatch: pytest.MonkeyPatch, *, quota: int | None) -> Aws:
    """Return a stage that is not deployed, in an account with five VPCs; None if the quota can't be read."""

    def get_service_quota(**_: str) -> Any:
        if quota is None:
            raise ClientError({"Error": {"Code": "AccessDenied"}}, "GetServiceQuota")
        return {"Quota": {"Value": float(quota)}}

    paginator = SimpleNamespace(paginate=lambda: [{"Vpcs": [1, 2, 3]}, {"Vpcs": [4, 5]}])
    clients = {
        "ec2": SimpleNamespace(get_paginator=lambda _: paginator),
        "service-quotas": SimpleNamespace(get_service_quota=get_service_quota),
    }
    monkeypatch.setattr(Aws, "untyped", lambda _, service: clients[service])
    return replace(aws, stage=replace(aws.stage, name=f"pr-{uuid.uuid4().int % 10**5}"))


@pytest.mark.parametrize("quota", [5, None])
def test_an_exceeded_vpc_quota_fails_before_anything_is_created(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, quota: int | None
) -> None:
    with pytest.raises(NotReadyError, match=r"has 5 of 5 VPCs.*make reap"):
        require_vpc_quota(preview(aws, monkeypatch, quota=quota))


def test_a_new_stage_within_the_quota_is_let_through(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    require_vpc_quota(preview(aws, monkeypatch, quota=6))


def test_a_deployed_stage_needs_no_other_vpc(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    there = preview(aws, monkeypatch, quota=0)
    aws.cloudformation.create_stack(
        StackName=there.stage.service_stack, TemplateBody='{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}'
    )
    require_vpc_quota(there)
    aws.cloudformation.delete_stack(StackName=there.stage.service_stack)


# ---- what a rollback removes ----


@pytest.fixture
def history(tmp_path: Path) -> tuple[Path, list[str]]:
    """A repository of four commits: three in a row, and one beside the last two."""
    git(tmp_path, "init", "--quiet")
    commits = []
    for name in ("one", "two", "three"):
        (tmp_path / name).touch()
        commits.append(commit_all(tmp_path))
    git(tmp_path, "checkout", "--quiet", "-b", "beside", commits[0])
    (tmp_path / "four").touch()
    return tmp_path, [*commits, commit_all(tmp_path)]


def test_a_rollback_names_each_commit_that_it_adds_or_undoes(history: tuple[Path, list[str]]) -> None:
    root, (_, two, three, beside) = history
    _, *commits, _ = describe_change(["foreign", three, f"prod-{three}"], f"dev-{beside}", root=root)
    assert sorted(commits) == sorted([f"  > {beside} a commit", f"  < {three} a commit", f"  < {two} a commit"])


def test_a_commit_that_this_clone_does_not_have_is_named(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    lines = list(describe_change(["prod-0123456789ab"], one, root=root))
    assert f"from 0123456789ab to {one}" in lines[0]
    assert "`git fetch`" in lines[1]
