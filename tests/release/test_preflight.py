"""What stops a release before anything is changed: one line that says what to do, and exit status 2."""

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

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
        (["prod"], {}, "set alarm_email, or alarm_email=NOBODY"),
        (["dev", "--tag", "latest"], {}, "--tag latest: expected the 12 digits of a commit"),
        (["dev"], {}, "no AWS credentials: sign in"),
        (["dev"], {"AWS_PROFILE": "nowhere"}, "set AWS_PROFILE to an existing profile"),
        (["dev"], {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "AWS_ENDPOINT_URL is set"),
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
    (copy / "new file.txt").write_text("x")
    said = refused(copy, nobody(tmp_path), "dev")
    assert "app/api.py" in said
    assert "new file.txt" in said
    shutil.rmtree(copy / ".git")
    assert "no git commit here" in refused(copy, nobody(tmp_path), "dev")


def test_a_playground_takes_uncommitted_changes(project: Path, playground_environment: dict[str, str]) -> None:
    (project / "untracked.txt").write_text("x")
    try:
        said = refused(project, playground_environment, "playground")
    finally:
        (project / "untracked.txt").unlink()
    assert "uncommitted" not in said
    assert "not bootstrapped: run `make bootstrap ENV=" in said


def test_missing_docker_is_distinguished_from_a_stopped_daemon(
    project: Path, playground_environment: dict[str, str], tmp_path: Path
) -> None:
    down = playground_environment | {"DOCKER_HOST": "tcp://127.0.0.1:1"}
    assert "Docker's daemon does not respond" in refused(project, down, "playground")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("git", "python3"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "cdk").symlink_to(shutil.which("true") or "true")
    (tools / "cdk").chmod(0o755)
    missing = playground_environment | {"PATH": str(tools)}
    assert "Docker is not installed" in refused(project, missing, "playground")


# ---- the quota of VPCs ----


@pytest.fixture
def vpcs(aws: Aws) -> Iterator[int]:
    """Return how many VPCs there are, two of them of this test."""
    ec2 = aws.untyped("ec2")
    made = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(2)]
    yield len(ec2.describe_vpcs()["Vpcs"])
    for vpc in made:
        ec2.delete_vpc(VpcId=vpc)


def a_preview(aws: Aws, monkeypatch: pytest.MonkeyPatch, *, quota: int) -> Aws:
    """Return a stage that is not deployed, in an account with that quota."""
    preview = replace(aws, stage=replace(aws.stage, name=f"pr-{uuid.uuid4().int % 10**5}"))
    quotas = SimpleNamespace(get_service_quota=lambda **_: {"Quota": {"Value": float(quota)}})
    untyped = Aws.untyped

    def client(self: Aws, service: str) -> Any:
        return quotas if service == "service-quotas" else untyped(self, service)

    monkeypatch.setattr(Aws, "untyped", client)
    return preview


def test_a_new_stage_within_the_quota_is_let_through(aws: Aws, monkeypatch: pytest.MonkeyPatch, vpcs: int) -> None:
    require_vpc_quota(a_preview(aws, monkeypatch, quota=vpcs + 1))


def test_an_exceeded_vpc_quota_fails_before_anything_is_created(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, vpcs: int
) -> None:
    with pytest.raises(NotReadyError, match=f"has {vpcs} of {vpcs} VPCs.*make reap"):
        require_vpc_quota(a_preview(aws, monkeypatch, quota=vpcs))


def test_a_deployed_stage_needs_no_other_vpc(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    there = a_preview(aws, monkeypatch, quota=0)
    aws.cloudformation.create_stack(
        StackName=there.stage.service_stack, TemplateBody='{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}'
    )
    require_vpc_quota(there)
    aws.cloudformation.delete_stack(StackName=there.stage.service_stack)


def test_a_quota_that_cannot_be_read_is_aws_default(aws: Aws) -> None:
    """MiniStack has no quotas, like a role without the permission to read them."""
    ec2 = aws.untyped("ec2")
    made = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(5)]
    try:
        with pytest.raises(NotReadyError, match="of 5 VPCs"):
            require_vpc_quota(replace(aws, stage=replace(aws.stage, name="pr-1")))
    finally:
        for vpc in made:
            ec2.delete_vpc(VpcId=vpc)


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


def said(root: Path, running: list[str], tag: str) -> list[str]:
    return list(describe_change(running, tag, environment=os.environ, root=root))


def test_a_rollback_names_each_commit_that_it_removes(history: tuple[Path, list[str]]) -> None:
    root, (one, two, three, _) = history
    removed, *commits, added, last = said(root, [three, f"prod-{three}"], f"dev-{one}")
    assert removed == f"2 commits that this release removes since {one}"
    assert commits == [f"  {three} a commit", f"  {two} a commit"]
    assert added.startswith("0 commits")
    assert "only the image comes from that commit" in last


def test_a_commit_of_another_branch_removes_and_adds(history: tuple[Path, list[str]]) -> None:
    root, (one, two, _, beside) = history
    lines = said(root, [two], beside)
    assert f"1 commits that this release removes since {beside}" in lines
    assert f"1 commits that this release adds since {two}" in lines
    assert not any(line.startswith(f"  {one}") for line in lines)


def test_a_commit_that_this_clone_does_not_have_is_named(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    (line,) = said(root, ["prod-0123456789ab"], one)
    assert f"from 0123456789ab to {one}" in line
    assert "`git fetch`" in line
