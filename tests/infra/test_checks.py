import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra import checks
from infra.config import STAGES, WORKLOAD
from infra.model import Owned, Service, Stage, Workload
from infra.stacks import foundation


def test_a_finding_without_acknowledgement_is_reported_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(foundation, "acknowledge", lambda *_: None)
    found = checks.construct_findings(STAGES["dev"], tmp_path)
    assert {finding.split()[0] for finding in found} == {"AwsSolutions-S1", "AwsSolutions-SMG4"}
    assert any("NotesFoundation-dev/Key" in finding for finding in found)


def test_a_finding_of_cfn_lint_names_rule_place_and_region(tmp_path: Path) -> None:
    template = tmp_path / "Service.template.json"
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"Colour": "red"}}
    template.write_text(json.dumps({"Resources": {"Topic": topic, "Kendra": {"Type": "AWS::Kendra::Index"}}}))
    found = checks.lint_findings([template])
    assert any(each.startswith("E3002 Service.template.json Resources/Topic/Properties/Colour: ") for each in found)
    assert any("does not exist in 'sa-east-1'" in each for each in found)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"port": 5001}, r"port is 5001, but app/Dockerfile exposes 5000: write EXPOSE 5001, or change port"),
        ({"image_files": ("Dockerfile", "src")}, "image_files has src, which is not in app"),
        *(
            ({"owns": (Owned(service=Service.DYNAMODB, actions=(action,)),)}, f"owns allows {action}, which would let")
            for action in ("dynamodb:AddPermission", "dynamodb:PutResourcePolicy")
        ),
        ({}, ""),
    ],
)
def test_a_field_of_the_workload_that_does_not_fit_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], problem: str
) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "Dockerfile").write_text("FROM base\nEXPOSE 5000\n")
    workload: Workload = replace(WORKLOAD, **({"context": "app", "image_files": ("Dockerfile",)} | fields))
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr(checks, "WORKLOAD", workload)
    monkeypatch.setattr("infra.config.WORKLOAD", workload)
    found = list(dict.fromkeys(checks.configuration_problems()))
    assert len(found) == bool(problem)
    assert all(each.startswith("WORKLOAD in infra/workload.py: ") and problem in each for each in found)


def test_a_stage_that_cannot_work_is_an_error_before_any_synthesis(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong: Stage = replace(STAGES["dev"], log_days=31)
    monkeypatch.setitem(STAGES, "dev", wrong)
    assert any("stage dev in infra/stages.py: log_days is 31" in each for each in checks.configuration_problems())


TABLE = {"PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True}}
RETAINED = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}


@pytest.mark.parametrize(
    ("kind", "properties", "policies", "problem"),
    [
        (
            "DynamoDB::GlobalTable",
            {"Replicas": [TABLE]},
            {"DeletionPolicy": "Delete"},
            "would be deleted with its data",
        ),
        ("DynamoDB::Table", TABLE, {"DeletionPolicy": "Retain"}, "would be deleted with its data"),  # on replacement
        ("DynamoDB::GlobalTable", {"Replicas": [TABLE, {}]}, RETAINED, "no backups: enable point-in-time recovery"),
        ("DynamoDB::Table", {}, RETAINED, "no backups: enable point-in-time recovery"),
        ("SecretsManager::Secret", {}, {}, "would be deleted with its data"),
        ("SES::EmailIdentity", {}, {}, "would be deleted with its data"),
        ("RDS::DBInstance", {"BackupRetentionPeriod": 0}, RETAINED, "no backups: set BackupRetentionPeriod"),
        ("EFS::FileSystem", {}, RETAINED, "no backups: enable automatic backups"),
        ("DynamoDB::GlobalTable", {"Replicas": [TABLE]}, RETAINED, None),
        ("RDS::DBInstance", {}, dict.fromkeys(RETAINED, "Snapshot"), None),
        ("SNS::Topic", {}, {}, None),
    ],
)
def test_a_resource_whose_data_could_be_lost_is_named_with_what_to_set(
    kind: str, properties: dict[str, Any], policies: dict[str, str], problem: str | None
) -> None:
    resource = {"Type": f"AWS::{kind}", "Properties": properties, **policies}
    found = list(checks.data_problems("prod", {"Resources": {"Data": resource}}))
    assert len(found) == bool(problem)
    assert all(f"stage prod: Data (AWS::{kind})" in each and str(problem) in each for each in found)


def test_a_policy_that_aws_would_reject_names_owns() -> None:
    document = {"Statement": ["x" * 6200]}
    policy = {"ManagedPolicyName": "notes-boundary", "PolicyDocument": document}
    (found,) = checks.policy_problems({"Resources": {"P": {"Type": "AWS::IAM::ManagedPolicy", "Properties": policy}}})
    assert "owns is too long: the policy notes-boundary has 62" in found
