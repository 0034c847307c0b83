"""What stops a release before anything is changed: one line that says what to do, and exit status 2."""

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from release.aws import Aws
from release.errors import NotReadyError
from release.preflight import describe_change, require_vpc_quota
from tests.release.conftest import commit_all, git, nobody, run


def test_an_unknown_stage_is_named_with_the_nearest(project: Path, tmp_path: Path) -> None:
    done = run("release", "prd", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "unknown stage 'prd'" in done.stdout
    assert "did you mean prod?" in done.stdout


def test_an_unfinished_prod_is_refused_by_its_fields(project: Path, tmp_path: Path) -> None:
    done = run("release", "prod", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "or allow_http=True" in done.stdout
    assert "set alarm_email, or alarm_email=NOBODY" in done.stdout


def test_uncommitted_files_are_named(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    (copy / "app" / "api.py").write_text("raise SystemExit\n")
    (copy / "new file.txt").write_text("x")
    done = run("release", "dev", cwd=copy, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "uncommitted changes: dev takes committed code only" in done.stdout
    assert "app/api.py" in done.stdout
    assert "new file.txt" in done.stdout


def test_a_folder_without_a_commit_is_refused(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, ignore=shutil.ignore_patterns(".git"))
    done = run("release", "dev", cwd=copy, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no git commit here" in done.stdout


def test_absent_credentials_are_asked_for(project: Path, tmp_path: Path) -> None:
    done = run("release", "dev", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no AWS credentials: sign in" in done.stdout
    assert "Traceback" not in done.stdout


def test_a_profile_that_does_not_exist_is_named(project: Path, tmp_path: Path) -> None:
    done = run("release", "dev", cwd=project, environment=nobody(tmp_path) | {"AWS_PROFILE": "nowhere"})
    assert done.returncode == 2
    assert "nowhere" in done.stdout
    assert "AWS_PROFILE" in done.stdout


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS"])
def test_a_real_stage_refuses_an_endpoint_that_is_not_aws(project: Path, tmp_path: Path, variable: str) -> None:
    elsewhere = nobody(tmp_path) | {variable: "http://127.0.0.1:1"}
    done = run("release", "dev", cwd=project, environment=elsewhere)
    assert done.returncode == 2
    assert f"{variable} is set" in done.stdout


def test_the_playground_stage_refuses_to_reach_anything_but_a_playground(project: Path, tmp_path: Path) -> None:
    environment = nobody(tmp_path) | {"PLAYGROUND_DIR": str(tmp_path), "AWS_PROFILE": "mine"}
    done = run("release", "playground", cwd=project, environment=environment)
    assert done.returncode == 2
    assert "make playground" in done.stdout


def test_an_account_without_bootstrap_is_told_the_command(
    project: Path, playground_environment: dict[str, str]
) -> None:
    done = run("release", "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make bootstrap ENV=" in done.stdout


def test_a_missing_docker_is_named(project: Path, playground_environment: dict[str, str], tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("git", "python3"):
        (tools / tool).symlink_to(shutil.which(tool) or tool)
    (tools / "cdk").symlink_to(shutil.which("true") or "true")
    (tools / "cdk").chmod(0o755)
    done = run("release", "playground", cwd=project, environment=playground_environment | {"PATH": str(tools)})
    assert done.returncode == 2
    assert "Docker is not installed" in done.stdout


def test_a_docker_that_does_not_answer_is_told_from_a_missing_one(
    project: Path, playground_environment: dict[str, str]
) -> None:
    environment = playground_environment | {"DOCKER_HOST": "tcp://127.0.0.1:1"}
    done = run("release", "playground", cwd=project, environment=environment)
    assert done.returncode == 2
    assert "Docker's daemon does not respond: start it" in done.stdout


def test_a_tag_that_is_no_commit_is_refused(project: Path, tmp_path: Path) -> None:
    done = run("release", "dev", "--tag", "latest", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "--tag latest: expected the 12 digits of a commit" in done.stdout


def test_a_playground_takes_uncommitted_changes(project: Path, playground_environment: dict[str, str]) -> None:
    (project / "untracked.txt").write_text("x")
    try:
        done = run("release", "playground", cwd=project, environment=playground_environment)
    finally:
        (project / "untracked.txt").unlink()
    assert "uncommitted" not in done.stdout
    assert "not bootstrapped" in done.stdout


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


def test_one_stage_too_many_is_refused_before_anything_is_created(
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
    heading, *commits, last = said(root, [three, f"prod-{three}"], f"dev-{one}")
    assert f"2 commits that this release removes since {one}" in heading
    assert commits == [f"  {three} a commit", f"  {two} a commit"]
    assert "only the image changes" in last


def test_a_promotion_names_what_it_adds(history: tuple[Path, list[str]]) -> None:
    root, (_, two, three, _) = history
    heading, commit, _ = said(root, [f"prod-{two}"], f"dev-{three}")
    assert f"adds since {two}" in heading
    assert commit == f"  {three} a commit"


def test_commits_of_another_branch_are_both_removed_and_added(history: tuple[Path, list[str]]) -> None:
    root, (one, two, _, beside) = history
    lines = said(root, [two], beside)
    assert any(f"removes since {beside}" in line for line in lines)
    assert any(f"adds since {two}" in line for line in lines)
    assert not any(one in line for line in lines)


def test_the_same_commit_removes_nothing(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    (line,) = said(root, [f"dev-{one}"], one)
    assert f"{one} runs already" in line


def test_a_commit_that_this_clone_has_not_is_named(history: tuple[Path, list[str]]) -> None:
    root, (one, *_) = history
    (line,) = said(root, ["prod-0123456789ab"], one)
    assert f"from 0123456789ab to {one}" in line
    assert "`git fetch`" in line


def test_a_long_history_is_cut_and_counted(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    commits = []
    for number in range(21):
        (tmp_path / "file").write_text(str(number))
        commits.append(commit_all(tmp_path))
    lines = said(tmp_path, [commits[-1]], commits[0])
    assert lines[0].startswith("20 commits")
    assert lines[16] == "  and 5 more"
