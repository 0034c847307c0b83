import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.app import main, stage_from
from infra.config import STAGES
from infra.model import ConfigurationError
from tests.infra.synthesis import ROOT


def test_the_app_needs_no_credentials_and_the_service_follows_what_it_refers_to(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    as_the_cli = {"CDK_CONTEXT_JSON": '{"stage": "pr-7"}', "CDK_OUTDIR": str(tmp_path), "CDK_VALIDATION": "false"}
    subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment | as_the_cli, check=True)
    names = {path.name.removesuffix(".template.json") for path in tmp_path.glob("*.template.json")}
    assert names == {"NotesAccess", "NotesRegistry", "NotesFoundation-pr-7", "NotesService-pr-7"}
    artifacts = json.loads((tmp_path / "manifest.json").read_text())["artifacts"]
    assert {"NotesRegistry", "NotesFoundation-pr-7"} <= set(artifacts["NotesService-pr-7"]["dependencies"])


def test_an_error_is_printed_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(SystemExit, match=r"^error: conflicting region: .+$"):
        main()


def test_an_unknown_key_never_deploys_the_default_stage() -> None:
    of_cdk = {"@aws-cdk/core:something": True, "aws:cdk:bundling-stacks": ["**"], "cli-telemetry": False}
    assert stage_from({"stage": "prod", **of_cdk}) == STAGES["prod"]
    assert stage_from(of_cdk) == STAGES["dev"]
    for context, message in (
        ({"stage": "production"}, "unknown stage 'production'"),
        ({"stge": "prod"}, "unknown context key 'stge': only stage is supported, as in -c stage=dev; did you mean"),
        ({"stage": "dev", "digest": "sha256:1"}, "unknown context key 'digest'"),
    ):
        with pytest.raises(ConfigurationError, match=re.escape(message)):
            stage_from(context)
