from pathlib import Path

import pytest

from infra import checks
from infra.config import STAGES
from infra.stacks import foundation


def test_a_finding_without_acknowledgement_is_reported_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foundation, "acknowledge", lambda *_: None)
    found = checks.construct_findings(STAGES["dev"], tmp_path)
    assert {finding.split()[0] for finding in found} == {"AwsSolutions-S1", "AwsSolutions-SMG4"}
    assert any("NotesFoundation-dev/Key" in finding for finding in found)


def test_a_finding_of_cfn_lint_names_rule_and_place(tmp_path: Path) -> None:
    template = tmp_path / "Service.template.json"
    template.write_text('{"Resources": {"Table": {"Type": "AWS::SNS::Topic", "Properties": {"Colour": "red"}}}}')
    (finding,) = checks.template_findings([template])
    assert finding.startswith("E3002 Service.template.json Resources/Table/Properties/Colour: ")
