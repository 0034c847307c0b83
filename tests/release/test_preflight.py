"""What stops a release before anything is changed: one line that says what to do, and exit status 2."""

import shutil
from pathlib import Path

import pytest

from tests.release.support import nobody, run


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
    assert "Docker's daemon does not answer: start it" in done.stdout


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
