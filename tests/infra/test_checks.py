import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from constructs import IConstruct

from infra import checks, foundation
from infra.checks import CheckError
from infra.options import Architecture, Egress, Rollout
from infra.stages import STAGES


def test_a_finding_that_nobody_acknowledged_is_reported_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forget(_: IConstruct, __: Mapping[str, str]) -> None:
        """Acknowledge nothing."""

    monkeypatch.setattr(foundation, "acknowledge", forget)
    found = checks.synthesize(STAGES["dev"], tmp_path)
    assert {finding.split()[0] for finding in found} == {"AwsSolutions-S1", "AwsSolutions-SMG4"}
    assert any("CommentsFoundation-dev/Moderator" in finding for finding in found)


def test_every_stage_and_every_option_is_looked_at() -> None:
    assert set(STAGES) <= set(checks.CHECKED)
    assert any(stage.is_preview for stage in checks.CHECKED.values())
    assert any(stage.https for stage in checks.CHECKED.values())
    assert {stage.egress for stage in checks.CHECKED.values()} == set(Egress)
    assert {stage.rollout for stage in checks.CHECKED.values()} == set(Rollout)
    assert {stage.architecture for stage in checks.CHECKED.values()} == set(Architecture)
    assert any(stage.spot_share for stage in checks.CHECKED.values())


def test_a_template_of_several_stages_is_read_once(tmp_path: Path) -> None:
    for stage, text in (("0", "same"), ("1", "same"), ("2", "other")):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "Registry.template.json").write_text(text)
    assert len(checks.distinct_templates(tmp_path)) == 2


def test_a_finding_of_cfn_lint_names_rule_and_place() -> None:
    match = {
        "Rule": {"Id": "E3002"},
        "Filename": "/tmp/x/Service.template.json",
        "Location": {"Path": ["Resources", "Table", 0]},
        "Message": "Additional properties are not allowed",
    }
    outcome = checks.lint(json.dumps([match]), [Path("Service.template.json")])
    assert outcome.findings == ["E3002 Service.template.json Resources/Table/0: Additional properties are not allowed"]


def test_checkov_that_read_nothing_is_a_failure_and_not_a_pass() -> None:
    nothing = {"summary": {"passed": 0, "skipped": 0, "parsing_errors": 0}, "results": {"failed_checks": []}}
    with pytest.raises(CheckError, match="read nothing"):
        checks.policies(json.dumps(nothing))


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckError, match="cfn-lint is not on the PATH: run `make check`"):
        checks.start("cfn-lint", tools=str(tmp_path))
