"""Tests, releases and permissions in GitHub's workflows. `make check` lints them."""

import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra import checks, workflows
from infra.checks import workflow_problems
from infra.config import STAGES
from infra.model import Stage
from tests.repository import ROOT, nobody

WORKFLOWS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted((ROOT / ".github/workflows").glob("*.yml"))
}
# Jobs of a deploy.yml that is not the adopter's, as in tests/reference.
CI = {"uses": "$/.github/workflows/ci.yml"}
DEV = {"needs": "ci", "uses": "$/.github/workflows/release.yml", "with": {"stage": "dev"}}
PROD = DEV | {"needs": "dev", "with": {"stage": "prod", "tag": "${{ needs.dev.outputs.tag }}"}}


def test_every_folder_of_tests_runs_in_one_job() -> None:
    steps = [step for job in WORKFLOWS["ci"]["jobs"].values() for step in job["steps"]]
    found = re.findall(r'make test ARGS="(.+)"', "\n".join(step.get("run", "") for step in steps))
    runs = [[argument.rpartition("=") for argument in each.split()] for each in found]
    for folder in {path.parent.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py")}:
        inside = [{option for option, _, name in run if folder.is_relative_to(name)} for run in runs]
        assert inside.count({""}) == 1, f"{folder}: once, and not ignored"


def test_a_third_stage_is_an_entry_and_a_job_of_eight_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    document = (ROOT / "docs/deployment.md").read_text()
    entry, jobs = (re.search(rf"```{kind}\n(.*?)```", document, re.DOTALL) for kind in ("python", "yaml"))
    assert entry
    assert jobs
    staging, prod = jobs[1].split("\n\n")
    assert len(staging.splitlines()) == 8
    namespace: dict[str, Any] = {"Stage": Stage}
    exec(entry[1], namespace)
    monkeypatch.setattr(checks, "STAGES", {stage.name: stage for stage in namespace["STAGES"]})
    workflow = {"jobs": {"dev": DEV, **yaml.safe_load(staging), **yaml.safe_load(prod)}}
    assert list(workflow_problems(workflow)) == []


@pytest.mark.parametrize(
    ("job", "changes", "problem"),
    [
        ("prd", {}, "job prd of deploy.yml must be named after a stage"),
        ("prod", {"needs": "ci"}, "job prod of deploy.yml needs `needs: dev`"),
        ("prod", {"needs": None}, "job prod of deploy.yml needs `needs: dev`"),
        ("prod", {"with": None}, "because promotes_from is dev"),
        ("prod", {"with": {"stage": "prod"}}, "because promotes_from is dev"),
        ("prod", {"with": {"stage": "dev", "tag": "${{ needs.dev.outputs.tag }}"}}, "because promotes_from is dev"),
        ("dev", {}, 'job dev of deploy.yml needs `with: {"stage": "dev"}`, because promotes_from is None'),
    ],
)
def test_a_job_that_would_release_another_image_or_stage_is_reported(
    monkeypatch: pytest.MonkeyPatch, job: str, changes: dict[str, Any], problem: str
) -> None:
    stages = (Stage(name="dev"), Stage(name="prod", promotes_from="dev"))
    monkeypatch.setattr(checks, "STAGES", {stage.name: stage for stage in stages})
    assert list(workflow_problems({"jobs": {"ci": CI, "dev": DEV, "prod": PROD}})) == []
    assert problem in " ".join(workflow_problems({"jobs": {job: PROD | changes}}))


def test_a_stage_without_a_job_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "STAGES", {name: Stage(name=name) for name in ("dev", "staging")})
    (problem,) = workflow_problems({"jobs": {"ci": CI, "dev": DEV}})
    assert problem.startswith("stage staging has no job in deploy.yml: add one")


def test_a_release_of_an_existing_image_builds_nothing_and_every_stage_can_be_rolled_back() -> None:
    (release,) = WORKFLOWS["release"]["jobs"].values()
    steps = {step.get("name", step.get("uses")): step for step in release["steps"]}
    assert {name for name, step in steps.items() if step.get("if") == "inputs.tag == ''"} >= {"Build", "Push and scan"}
    assert "if" not in steps["Deploy"] | steps["Verify"]
    assert release["environment"]["name"] == "${{ inputs.stage }}", "which the role of the stage trusts"
    assert release["env"] == {"STAGE": "${{ inputs.stage }}", "RELEASE_TAG": "${{ inputs.tag }}"}
    (rollback,) = WORKFLOWS["rollback"]["jobs"].values()
    assert rollback["with"] == {"stage": "${{ inputs.stage }}", "tag": "${{ inputs.tag }}"}
    assert rollback["uses"].endswith("/release.yml")


WITH_CREDENTIALS = {
    f"{workflow}: {name}": job["steps"]
    for workflow, found in WORKFLOWS.items()
    for name, job in found["jobs"].items()
    if "configure-aws-credentials" in str(job)
}
COMMANDS_OF_A_STAGE = re.compile(r'make (deploy|destroy|drift|sbom)( ENV="\$STAGE")( STEP=\w+)?')


@pytest.mark.parametrize("job", WITH_CREDENTIALS)
def test_a_job_installs_only_what_a_release_needs_and_before_it_has_credentials_of_an_expected_account(
    job: str,
) -> None:
    """Whatever is installed could otherwise use the credentials: packages, and actions whose tags were moved."""
    steps = WITH_CREDENTIALS[job]
    (login,) = (index for index, step in enumerate(steps) if "configure-aws-credentials" in step.get("uses", ""))
    before, after = steps[:login], steps[login + 1 :]
    assert [step["run"] for step in before if "make" in step.get("run", "")] == ["make tools"]
    assert steps[login]["with"]["allowed-account-ids"].endswith(".account }}")
    assert not [step for step in after if "setup" in step.get("uses", "")]
    assert all(COMMANDS_OF_A_STAGE.fullmatch(step["run"]) for step in after if "run" in step)


def test_the_expected_account_of_a_stage_is_that_of_its_entry(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(stage: str) -> str:
        monkeypatch.setattr("sys.argv", ["workflows", stage])
        workflows.main()
        return capsys.readouterr().out

    monkeypatch.setitem(STAGES, "prod", replace(STAGES["prod"], account="444444444444"))
    assert printed("prod") == "account=444444444444\n"
    assert printed("dev") == "account=\n", "any"
    with pytest.raises(SystemExit, match="error: unknown stage 'prd'"):
        printed("prd")


def test_a_deployment_installs_neither_the_application_nor_the_tools_of_tests() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "tools"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    installed = re.findall(r"-r (\S+)$", done.stdout, re.MULTILINE)
    assert set(installed) - {"/dev/stdin"} == {"requirements-infra.txt"}
    assert "npm ci --omit=dev" in done.stdout


def test_each_stage_with_a_read_role_is_checked_for_drift(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = (Stage(name="dev", account="1" * 12), Stage(name="us-east", region="us-east-1"), Stage(name="prod"))
    monkeypatch.setattr(workflows, "STAGES", {stage.name: stage for stage in stages})
    variables = {"AWS_REGION": "eu-west-1", "AWS_READ_ROLE_DEV": "one", "AWS_READ_ROLE_US_EAST": "two"}
    assert list(workflows.checked(variables)) == [
        {"stage": "dev", "role": "one", "account": "1" * 12, "region": "eu-west-1"},
        {"stage": "us-east", "role": "two", "account": "", "region": "us-east-1"},
    ]


def test_no_job_with_credentials_restores_a_cache() -> None:
    """Whoever can write to a cache could otherwise run code with those credentials."""
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {}
        for job in workflow["jobs"].values():
            assert "id-token" not in job["permissions"] or "cache" not in str(job), name


INJECTION = "$(shell touch made) $$(touch ran) $(touch ran) `touch ran`; touch ran; '; touch ran; '"


@pytest.fixture
def make(copy: Path, tmp_path: Path) -> Callable[..., tuple[str, list[str]]]:
    """Run make in a copy of the project; return its output and the files that this left."""
    for file in (".venv", "node_modules"):
        (copy / file).symlink_to(ROOT / file)
    before = set(copy.iterdir())

    def run(*arguments: str, **variables: str) -> tuple[str, list[str]]:
        command = ["make", "-o.venv/.release", "-onode_modules/.cdk", *arguments]
        environment = nobody(tmp_path) | {"CDK_OUTDIR": str(tmp_path / "out")} | variables
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode
        return done.stderr, sorted(
            path.name for path in {*copy.iterdir(), *tmp_path.iterdir()} - before - {copy, copy / "build"}
        )

    return run


def test_make_and_the_shell_expand_neither_a_stage_nor_a_tag(make: Callable[..., tuple[str, list[str]]]) -> None:
    """Whoever may run a workflow chooses its inputs, but must not run commands with the role of a stage."""
    for command in ("deploy", "destroy"):
        error, files = make(command, f"ENV={INJECTION}")
        assert f"unknown stage {INJECTION!r}" in error
        assert files == []
    for arguments, variables in (
        ((f"TAG={INJECTION}",), {}),
        ((f"RELEASE_TAG={INJECTION}",), {}),
        ((), {"RELEASE_TAG": INJECTION}),
    ):
        error, files = make("deploy", "ENV=playground", *arguments, **variables)
        assert f"TAG={INJECTION}: expected" in error
        assert files == []
    error, files = make("destroy", "ENV=dev", f"CONFIRM={INJECTION}")
    assert "dev was not destroyed" in error
    assert files == []


def test_only_the_command_line_of_make_selects_a_stage(make: Callable[..., tuple[str, list[str]]]) -> None:
    for command in ("deploy", "diff", "destroy", "cost", "synth"):
        assert f"run make {command} ENV=STAGE" in make(command, ENV="prod")[0]
    assert "unknown stage 'prd'" in make("deploy", "ENV=prd", ENV="prod")[0]
    assert "unknown stage ''" in make("deploy", "ENV=")[0], "an unset variable of a script must not select the default"
    assert "run make destroy ENV=STAGE" in make("destroy")[0]
