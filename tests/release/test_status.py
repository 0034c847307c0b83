"""`make endpoint`, `make diff`, `make drift` and `make sbom`."""

import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from botocore.stub import Stubber

from infra.config import REGISTRY_STACK
from infra.model import Stage
from release import deploy, scan, status
from release.__main__ import main
from release.aws import TOOL_SETTINGS, Aws
from release.command import CommandError, ReleaseError
from release.status import CHANGES, NO_CHANGES, UNKNOWN
from tests.release.account import ACCOUNT, REGION, Create
from tests.repository import run

STACK = "NotesFoundation-playground"
LOG = {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/drift/log", "RetentionInDays": 30}}


@pytest.fixture
def foundation(aws: Aws, create: Create, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """A stack of the playground's stage, with one resource that MiniStack doesn't compare."""
    monkeypatch.setattr(Aws, "of", lambda _: aws)
    create(STACK, Log=LOG, Cluster={"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "drift"}})
    return aws


@pytest.mark.parametrize(
    ("command", "stage", "message"),
    [("diff", "dev", "no AWS credentials")]
    + [(command, "playground", "run `make deploy ENV=playground`") for command in ("endpoint", "drift", "sbom")],
)
def test_missing_credentials_and_a_stage_that_is_not_deployed_exit_2_and_not_1_as_a_difference(
    playground_environment: dict[str, str], command: str, stage: str, message: str
) -> None:
    done = run("release", command, stage, env=playground_environment)
    assert done.returncode == 2
    assert message in done.stdout


@pytest.mark.parametrize("services", [[], [{"status": "INACTIVE"}]])
def test_the_status_says_that_someone_deleted_the_service(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, services: list[dict[str, str]]
) -> None:
    monkeypatch.setattr(Aws, "of", lambda _: dev)
    monkeypatch.setattr(status, "running_digest", lambda _: "sha256:1")
    monkeypatch.setattr(status, "base_url", lambda _: "http://example.com")
    with Stubber(dev.ecs) as stubber:
        stubber.add_response("describe_services", {"services": services})
        with pytest.raises(ReleaseError, match="deleted outside of CloudFormation") as failed:
            status.status(dev.stage)
    assert "make drift ENV=dev" in str(failed.value.details)


def test_drift_shows_what_was_changed_by_hand_and_what_is_not_checked(
    foundation: Aws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, template = f"aws://{ACCOUNT}/{REGION}", {"templateFile": "empty.json"}
    artifact = {"type": "aws:cloudformation:stack", "environment": place, "properties": template}
    (tmp_path / "manifest.json").write_text(json.dumps({"version": "38.0.0", "artifacts": {STACK: artifact}}))
    (tmp_path / "empty.json").write_text("{}")
    monkeypatch.setattr(deploy, "_assembly", lambda _: tmp_path)
    monkeypatch.setattr(sys, "argv", ["release", "drift", "playground"])
    with pytest.raises(SystemExit, match=f"^{NO_CHANGES}$"):
        main()
    assert f"{STACK}: not checked: AWS::ECS::Cluster\n" in capsys.readouterr().out
    foundation.logs.put_retention_policy(logGroupName="/drift/log", retentionInDays=7)
    with pytest.raises(SystemExit, match=f"^{CHANGES}$"):
        main()
    assert "RetentionInDays" in capsys.readouterr().out


def test_a_resource_that_could_not_be_compared_is_not_called_unchanged(
    foundation: Aws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cdk drift` takes it for unchanged."""
    monkeypatch.setattr(deploy, "run", lambda *_, **__: [])
    resource = {"LogicalResourceId": "Topic", "ResourceType": "AWS::SNS::Topic"}
    unknown = {"StackResourceDrifts": [resource | {"StackResourceDriftStatus": "UNKNOWN"}]}
    monkeypatch.setattr(foundation.cloudformation, "describe_stack_resource_drifts", lambda **_: unknown)
    assert status.drift(foundation.stage) == UNKNOWN
    assert "Topic" in capsys.readouterr().out


@pytest.mark.parametrize("command", [status.diff, status.drift])
def test_a_failure_of_the_cli_is_not_reported_as_a_difference(
    foundation: Aws, monkeypatch: pytest.MonkeyPatch, command: Callable[[Stage], int]
) -> None:
    """`--fail` exits with 1 for both."""
    said = [
        ("Number of stacks with differences: 1", "Number of resources with drift: 1"),
        ("Need to perform AWS calls for account 1, but no credentials",),
    ]
    failures = [CommandError("cdk ended with status 1", *lines) for lines in said]
    monkeypatch.setattr(deploy, "run", Mock(side_effect=failures))
    assert command(foundation.stage) == CHANGES
    with pytest.raises(ReleaseError):
        command(foundation.stage)


def test_a_diff_leaves_out_a_registry_in_another_account(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """The CLI can't read stacks of an account whose credentials it doesn't have."""
    cdk = Mock()
    monkeypatch.setattr(deploy, "run", cdk)
    for registry in (ACCOUNT, "111111111111"):
        stage = replace(aws.stage, registry_account=registry)
        monkeypatch.setattr(Aws, "of", lambda stage: replace(aws, stage=stage))
        assert status.diff(stage) == NO_CHANGES
        (compared,) = cdk.call_args.args
        assert (REGISTRY_STACK in compared) == (registry == ACCOUNT)
        assert stage.service_stack in compared


DEBIAN = {
    "etc/os-release": 'NAME="Debian GNU/Linux"\nID=debian\nVERSION_ID="13"\nPRETTY_NAME="Debian GNU/Linux 13"\n',
    "var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nVersion: 1.3\nArchitecture: amd64\n\n",
}
PYTHON = {
    "usr/lib/python3/site-packages/flask-3.1.3.dist-info/METADATA": (
        "Metadata-Version: 2.1\nName: Flask\nVersion: 3.1.3\n"
    ),
}


def test_a_bill_lists_the_packages_of_the_system_and_of_python_or_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failed scan must not look like an image without dependencies."""
    monkeypatch.setattr(scan, "SBOM", tmp_path / "build/sbom.json")
    for files, missing in ((PYTHON, "the operating system"), (DEBIAN, "Python packages"), (DEBIAN | PYTHON, None)):
        root = tmp_path / str(missing)
        for name, content in files.items():
            (root / name).parent.mkdir(parents=True)
            (root / name).write_text(content)
        with pytest.raises(ReleaseError, match=missing) if missing else nullcontext():
            scan.bill_of_materials(f"dir:{root}", version="0123456789ab", variables=TOOL_SETTINGS)
    bill = json.loads(scan.SBOM.read_text())
    assert bill["bomFormat"] == "CycloneDX"
    component = bill["metadata"]["component"]
    assert (component["name"], component["version"]) == ("notes", "0123456789ab")
    packages = {each.get("purl", "").partition("?")[0].lower() for each in bill["components"]}
    assert {"pkg:deb/debian/zlib1g@1.3", "pkg:pypi/flask@3.1.3"} <= packages
