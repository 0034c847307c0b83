"""Failed prerequisites stop a release before any change, with one line and exit status 2."""

from pathlib import Path
from unittest.mock import Mock

import pytest

from infra.config import STAGES
from release.aws import Aws
from release.build import describe_change
from release.command import NotReadyError
from tests.release.account import ACCOUNT
from tests.repository import commit_all, git, nobody, run


def refused(project: Path, environment: dict[str, str], *arguments: str) -> str:
    """Return what a release says that stops before anything is changed."""
    done = run("release", *arguments, cwd=project, env=environment)
    assert done.returncode == 2, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    ("arguments", "variables", "message"),
    [
        (["prod"], {}, "or allow_http=True. Stage prod in infra/stages.py has no address for alarms: set alarm_email"),
        (["dev", "--tag", "latest"], {}, "TAG=latest: expected the 12 digits of a commit"),
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
    (copy / "README.md").write_text("changed\n")
    (copy / "new").touch()
    # Also of an existing image: the templates would be those of the working tree.
    for arguments in ((), ("--tag", "0123456789ab")):
        said = refused(copy, nobody(tmp_path), "dev", *arguments)
        assert "uncommitted changes" in said
        assert "README.md\n    new\n" in said


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
    # This clone doesn't have the running commit, nor has the repository if it was imported without its history.
    heading, advice, _ = describe_change("prod", ["prod-0123456789ab"], one, root=tmp_path)
    assert f"from 0123456789ab to {one}" in heading
    assert "`git fetch`" in advice


def test_the_stages_of_an_example_are_only_deployed_to_the_playground(monkeypatch: pytest.MonkeyPatch) -> None:
    """CONFIG_PACKAGE, which these tests set, could be left over in a shell."""
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB", raising=False)  # set while tests of the comment service run
    sts = Mock(get_caller_identity=lambda: {"Account": ACCOUNT})
    monkeypatch.setattr("boto3.client", lambda *_, **__: sts)
    with pytest.raises(NotReadyError, match=r"CONFIG_PACKAGE is tests\.reference, so dev is not that of infra/stages"):
        Aws.of(STAGES["dev"])
