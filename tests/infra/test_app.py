import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.app import stage_from
from infra.stages import STAGES, ConfigurationError

ROOT = Path(__file__).resolve().parents[2]


def synthesize(folder: Path, context: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the app as the CDK CLI does, on a machine without AWS credentials."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    environment |= {"HOME": str(folder), "CDK_CONTEXT_JSON": context, "CDK_OUTDIR": str(folder / "out")}
    environment |= {"CDK_VALIDATION": "false", **variables}
    return subprocess.run(
        [sys.executable, "-m", "infra.app"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


def dependencies(folder: Path, stack: str) -> set[str]:
    artifacts = json.loads((folder / "out" / "manifest.json").read_text())["artifacts"]
    return {name for name in artifacts[stack]["dependencies"] if not name.endswith(".assets")}


def test_without_context_and_credentials_it_synthesizes_dev(tmp_path: Path) -> None:
    done = synthesize(tmp_path, "{}")
    assert done.returncode == 0, done.stderr
    names = {path.name.removesuffix(".template.json") for path in (tmp_path / "out").glob("*.template.json")}
    assert names == {"CommentsAccess", "CommentsRegistry", "CommentsFoundation-dev", "CommentsService-dev"}
    assert dependencies(tmp_path, "CommentsService-dev") == {"CommentsRegistry", "CommentsFoundation-dev"}


def test_an_unfinished_prod_synthesizes_with_the_flags_of_cdk_json(tmp_path: Path) -> None:
    """Nothing is looked up: a look-up would leave a question in the manifest and a dummy value in the template."""
    where = {"CDK_DEFAULT_ACCOUNT": "111122223333", "CDK_DEFAULT_REGION": "eu-west-1"}
    context = json.loads((ROOT / "cdk.json").read_text())["context"] | {"stage": "prod"}
    done = synthesize(tmp_path, json.dumps(context), **where)
    assert done.returncode == 0, done.stderr
    assert '"missing"' not in (tmp_path / "out" / "manifest.json").read_text()
    assert "dummy" not in (tmp_path / "out" / "CommentsService-prod.template.json").read_text()


def test_an_error_is_printed_on_one_line(tmp_path: Path) -> None:
    done = synthesize(tmp_path, '{"stage": "dev"}', AWS_REGION="eu-west-1", AWS_DEFAULT_REGION="us-east-1")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: contradictory region: eu-west-1 (AWS_REGION), us-east-1 (AWS_DEFAULT_REGION);"
        " make them agree (infra/stages.py has the stage's region)\n"
    )


def test_the_context_of_cdk_itself_is_ignored() -> None:
    own = {"@aws-cdk/core:something": True, "aws:cdk:bundling-stacks": ["**"], "cli-telemetry": False}
    assert stage_from({"stage": "prod", **own}) == STAGES["prod"]
    assert stage_from(own) == STAGES["dev"]


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"stage": "production"}, "unknown stage 'production'"),
        ({"stge": "prod"}, "unknown context key 'stge': only stage is supported, as in -c stage=prod; did you mean"),
        ({"stage": "dev", "digest": "sha256:1"}, "unknown context key 'digest'"),
    ],
)
def test_an_unknown_key_never_deploys_the_default_stage(context: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        stage_from(context)


def test_infra_imports_neither_release_nor_playground() -> None:
    mine = list((ROOT / "infra").rglob("*.py"))
    assert len(mine) > 20
    for path in mine:
        assert not re.search(r"^\s*(from|import) .*(release|playground)", path.read_text(), re.MULTILINE), path
