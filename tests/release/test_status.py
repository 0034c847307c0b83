"""`make endpoint`, `make diff`, `make drift` and `make sbom`."""

import json
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from release import deploy, status
from release.aws import Aws
from release.errors import CommandError, ReleaseError
from release.status import CHANGES, NO_CHANGES, UNKNOWN
from tests.release.conftest import create_stack, nobody, run

STACK = "CommentsFoundation-playground"
RESOURCES: dict[str, object] = {
    "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/drift/log", "RetentionInDays": 30}},
    "Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "drift"}},
}


@pytest.fixture
def foundation(aws: Aws) -> Iterator[Aws]:
    """A stack of the playground's stage, with one resource that MiniStack doesn't compare."""
    create_stack(aws, STACK, RESOURCES)
    yield aws
    aws.cloudformation.delete_stack(StackName=STACK)


def test_missing_credentials_exit_2_and_not_1_as_a_difference(project: Path, tmp_path: Path) -> None:
    done = run("release.status", "diff", "dev", cwd=project, environment=nobody(tmp_path))
    assert done.returncode == 2
    assert "no AWS credentials" in done.stdout


@pytest.mark.parametrize("command", ["endpoint", "drift", "sbom"])
def test_a_stage_that_is_not_deployed_is_an_error(
    project: Path, playground_environment: dict[str, str], command: str
) -> None:
    done = run("release.status", command, "playground", cwd=project, environment=playground_environment)
    assert done.returncode == 2
    assert "run `make deploy ENV=playground`" in done.stdout


def test_drift_shows_what_was_changed_by_hand_and_what_is_not_checked(
    foundation: Aws, project: Path, playground_environment: dict[str, str]
) -> None:
    command = ("release.status", "drift", "playground")
    done = run(*command, cwd=project, environment=playground_environment)
    assert done.returncode == NO_CHANGES, done.stdout
    assert f"{STACK}: not checked: AWS::ECS::Cluster\n" in done.stdout
    foundation.logs.put_retention_policy(logGroupName="/drift/log", retentionInDays=7)
    done = run(*command, cwd=project, environment=playground_environment)
    assert done.returncode == CHANGES, done.stdout
    assert "RetentionInDays" in done.stdout


def test_a_resource_that_could_not_be_compared_is_not_called_unchanged(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cdk drift` takes it for unchanged."""
    own = replace(aws)  # with separate clients
    monkeypatch.setattr(Aws, "of", lambda _: own)
    monkeypatch.setattr(status, "describe", lambda _, name: name == STACK)
    monkeypatch.setattr(deploy, "run", lambda *_, **__: [])
    resource: dict[str, Any] = {"LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"}
    drifted = {"StackId": "x", "Timestamp": "2026-01-01", "StackResourceDriftStatus": "UNKNOWN"}
    with Stubber(own.cloudformation) as stubber:
        stubber.add_response("describe_stack_resource_drifts", {"StackResourceDrifts": [resource | drifted]})
        stubber.add_response("list_stack_resources", {"StackResourceSummaries": []})
        assert status.drift(aws.stage) == UNKNOWN
    assert "Topic" in capsys.readouterr().out


@pytest.mark.parametrize("command", [status.diff, status.drift])
def test_a_failure_of_the_cli_is_not_reported_as_a_difference(
    foundation: Aws, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    """`--fail` exits with 1 for both."""
    monkeypatch.setattr(Aws, "of", lambda _: foundation)
    said = ["Number of stacks with differences: 1", "Number of resources with drift: 1"]

    def cdk(*_: object, **__: object) -> list[str]:
        raise CommandError("cdk ended with status 1", *said)

    monkeypatch.setattr(deploy, "run", cdk)
    assert command(foundation.stage) == CHANGES
    said[:] = ["Need to perform AWS calls for account 1, but no credentials"]
    with pytest.raises(ReleaseError):
        command(foundation.stage)


# ---- the bill of materials, by syft ----

DEBIAN = {
    "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13"\n',
    "var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nVersion: 1.3\nArchitecture: amd64\n\n",
}
PYTHON = {
    "usr/lib/python3/site-packages/flask-3.1.3.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: Flask\nVersion: 3.1.3\n"
    ),
}


def bill_of_image(folder: Path, files: dict[str, str]) -> Any:
    """Return the bill of an image with these files and nothing else."""
    for name, content in files.items():
        (folder / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "root" / name).write_text(content)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    reference = f"sbom-{uuid.uuid4().hex[:8]}:test"
    subprocess.run(["docker", "build", "--quiet", f"--tag={reference}", "."], cwd=folder, check=True)
    try:
        status.bill_of_materials(
            f"docker:{reference}", version="0123456789ab", variables={"SYFT_CHECK_FOR_APP_UPDATE": "false"}
        )
    finally:
        subprocess.run(["docker", "rmi", reference], check=True, capture_output=True)
    return json.loads(status.SBOM.read_text())


@pytest.mark.usefixtures("docker")
def test_a_bill_lists_the_packages_of_the_system_and_of_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "SBOM", tmp_path / "sbom.json")
    bill = bill_of_image(tmp_path, DEBIAN | PYTHON)
    assert bill["bomFormat"] == "CycloneDX"
    assert bill["metadata"]["component"]["name"] == "comments"
    assert bill["metadata"]["component"]["version"] == "0123456789ab"
    packages = {each.get("purl", "").partition("?")[0].lower() for each in bill["components"]}
    assert {"pkg:deb/debian/zlib1g@1.3", "pkg:pypi/flask@3.1.3"} <= packages


@pytest.mark.usefixtures("docker")
def test_a_bill_without_the_packages_of_python_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, a failed scan would look like an image without dependencies."""
    monkeypatch.setattr(status, "SBOM", tmp_path / "sbom.json")
    with pytest.raises(ReleaseError, match="Python packages"):
        bill_of_image(tmp_path, DEBIAN)
