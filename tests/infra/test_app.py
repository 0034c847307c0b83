import re

import pytest

from infra.app import app_of, main, stage_from
from infra.config import STAGES, stage_named
from infra.model import ConfigurationError


def test_the_service_is_deployed_after_the_stacks_that_it_refers_to() -> None:
    assembly = app_of(stage_named("dev")).synth()
    assert {each.stack_name for each in assembly.stacks} >= {"NotesAccess", "NotesRegistry"}
    service = assembly.get_stack_by_name("NotesService-dev")
    assert {"NotesRegistry", "NotesFoundation-dev"} <= {each.id for each in service.dependencies}


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
