"""`make report` on two commits of a project with a small app: synthesis of the real one would take half a minute."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from infra import report
from tests.repository import commit_all, git, nobody

APP = """
import json, os, sys
from pathlib import Path

folder, stage = Path(os.environ["CDK_OUTDIR"]), json.loads(os.environ["CDK_CONTEXT_JSON"])["stage"]
stacks = json.loads(Path("stacks.json").read_text())
if stage not in stacks:
    sys.exit(f"error: unknown stage {stage!r}: use dev")
folder.mkdir()
stack = {"type": "aws:cloudformation:stack", "environment": "aws://unknown-account/unknown-region"}
artifacts = {}
for name, secrets in stacks[stage].items():
    artifacts[name] = stack | {"properties": {"templateFile": f"{name}.template.json"}}
    found = {key: {"Type": "AWS::SecretsManager::Secret", "Properties": secrets[key]} for key in secrets}
    (folder / f"{name}.template.json").write_text(json.dumps({"Resources": found}))
(folder / "manifest.json").write_text(json.dumps({"version": "38.0.0", "artifacts": artifacts}))
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Return a function that commits a small app with stacks by stage."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "small_app.py").write_text(APP)
    (tmp_path / "cdk.json").write_text(json.dumps({"app": "python3 small_app.py", "context": {}}))
    monkeypatch.setattr(report, "ROOT", tmp_path)
    monkeypatch.setattr(report, "_NAMES", ["dev", "prod"])

    def commit(stacks: dict[str, Any]) -> None:
        (tmp_path / "stacks.json").write_text(json.dumps(stacks))
        commit_all(tmp_path)

    with patch.dict(os.environ, nobody(tmp_path), clear=True):
        yield commit


def test_a_stage_that_the_base_does_not_have_is_new(repository: Callable[[dict[str, Any]], None]) -> None:
    dev: dict[str, Any] = {"Service-dev": {"Secret": {}}}
    repository({"dev": dev})
    repository({"dev": dev, "prod": {"Service-prod": {"Secret": {}}}})
    shown = report.report("HEAD~1")
    assert "**Service-prod** is new." in shown
    assert "**Monthly cost of prod**" in shown
    assert "dev" not in shown
    # In accounts of their own, stages share no stack, although the names are the same.
    other = {"Roles": {"Secret": {"Description": "of prod"}}}
    repository({"dev": dev | {"Roles": {"Secret": {}}}, "prod": {"Roles": {"Secret": {}}}})
    repository({"dev": dev | {"Roles": {"Secret": {}}}, "prod": other})
    shown = report.report("HEAD~1")
    assert "**Roles** in the account of prod" in shown
    assert "of prod" in shown.split("[+] Description")[1]
    repository({})
    with pytest.raises(SystemExit, match="unknown stage 'dev'"):  # of this commit, so a mistake
        report.report("HEAD~1")


def test_a_change_shows_its_templates_and_its_bill(
    repository: Callable[[dict[str, Any]], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for shared, new in (("former", ()), ("latter", ("Service-dev",))):
        secret = {"Secret": {"Description": shared}}
        stacks = {each: {"Shared": secret, f"Data-{each}": {"Secret": {}}} for each in ("dev", "prod")}
        stacks["dev"] |= dict.fromkeys(new, secret)
        repository(stacks)
    monkeypatch.setattr(sys, "argv", ["report", "HEAD~1"])
    report.main()
    with pytest.raises(SystemExit, match="no commit nowhere here: run `git fetch`, or set BASE"):
        report.report("nowhere")
    shown = capsys.readouterr().out
    assert shown.startswith(f"Changes since {git(tmp_path, 'rev-parse', '--short=12', 'HEAD~1').strip()}:")
    assert shown.count("**Shared**") == 1
    assert "[-] former" in shown
    assert "[+] latter" in shown
    assert "**Service-dev** is new." in shown
    assert "Data-" not in shown
    assert "prod" not in shown
    bill = shown.split("**Monthly cost of dev**")[1]
    assert "\n- total " in bill
    assert "\n+ total " in bill
    assert (tmp_path / "build/report.md").read_text() == shown
