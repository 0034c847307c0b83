import json
import re
from pathlib import Path
from typing import Any

import pytest

from infra.app import main, stage_from
from infra.stages import STAGES, ConfigurationError
from tests.infra.synthesis import ACCOUNT, REGION, variant


def test_nothing_is_looked_up_and_the_service_follows_what_it_refers_to() -> None:
    """A lookup would leave a question in the manifest."""
    found = variant("prod", account=ACCOUNT, region=REGION)
    assert "missing" not in json.loads(Path(found.assembly.directory, "manifest.json").read_text())
    dependencies = found.assembly.get_stack_by_name(found.stage.service_stack).dependencies
    assert {"CommentsRegistry", "CommentsFoundation-prod"} <= {each.id for each in dependencies}


def test_an_error_is_printed_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with pytest.raises(SystemExit, match=r"^error: contradictory region: .+$") as raised:
        main()
    assert "\n" not in str(raised.value)


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
