import re
from typing import Any

import pytest

from infra.context import NOTHING_BUILT, Context
from infra.errors import ConfigurationError
from infra.stages import STAGES


def test_the_stage_is_all_that_a_synthesis_needs() -> None:
    assert Context.read({"stage": "dev"}) == Context(stage=STAGES["dev"], digest=NOTHING_BUILT, github=None)


def test_what_cdk_itself_puts_there_is_none_of_ours() -> None:
    own = {"@aws-cdk/core:something": True, "aws:cdk:bundling-stacks": ["**"], "cli-telemetry": False}
    assert Context.read({"stage": "prod", **own}).stage == STAGES["prod"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "no stage: add -c stage=NAME, one of dev, prod, playground or pr-N"),
        ({"stage": "production"}, "unknown stage 'production'"),
        (
            {"stge": "dev"},
            "unknown context key 'stge': it is one of stage, digest, github, github_provider; did you mean stage?",
        ),
        ({"stage": "dev", "diges": "x"}, "did you mean digest?"),
        ({"stage": "dev", "digest": "latest"}, "digest is 'latest': expected sha256: and 64 hexadecimal digits"),
        ({"stage": "dev", "digest": "sha256:" + "A" * 64}, "expected sha256:"),
        ({"stage": "dev", "github": "https://github.com/a/b"}, "expected owner/name"),
        ({"stage": "dev", "github": "a/*"}, "expected owner/name"),
        ({"stage": "dev", "github_provider": "mine"}, "github_provider is 'mine': leave it out, or say existing"),
    ],
)
def test_a_wrong_option_is_one_line_that_says_what_to_write(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)) as raised:
        Context.read(values)
    assert "\n" not in str(raised.value)
