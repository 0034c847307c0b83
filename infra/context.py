"""The `-c key=value` options of the CDK app: read once, and a misspelt one is an error."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.errors import ContextError
from infra.stages import STAGES, Stage, stage_named

NOTHING_BUILT = "sha256:" + "0" * 64
"""Stands for the image until there is one, so that a synthesis needs none; a release always names the real one."""

_KEYS = ("stage", "digest", "github", "github_provider")
# Feature flags and what the CLI adds. No look-up's key is among them: this app looks nothing up.
_CDK_OWN = re.compile(r"@aws-cdk|aws-cdk|aws:|cli-telemetry$")


@dataclass(frozen=True, kw_only=True)
class Context:
    """What the command line chose."""

    stage: Stage
    digest: str = NOTHING_BUILT
    github: str | None = None
    """The repository `owner/name` whose workflows may deploy; only the access stack needs it."""
    provider_exists: bool = False
    """Whether the account has GitHub's identity provider already, from elsewhere: there can be only one."""

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> "Context":
        """Raise ContextError or UnknownStageError with one line that says what to write instead."""
        for key in values:
            if key not in _KEYS and not _CDK_OWN.match(key):
                near = difflib.get_close_matches(key, _KEYS, n=1)
                hint = f"; did you mean {near[0]}?" if near else ""
                raise ContextError(f"unknown context key {key!r}: it is one of {', '.join(_KEYS)}{hint}")
        if not values.get("stage"):
            raise ContextError(f"no stage: add -c stage=NAME, one of {', '.join(STAGES)} or pr-N")
        digest = values.get("digest") or NOTHING_BUILT
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", str(digest)):
            raise ContextError(f"context key digest is {digest!r}: expected sha256: and 64 hexadecimal digits")
        github = values.get("github") or None
        if github is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", str(github)):
            raise ContextError(f"context key github is {github!r}: expected owner/name of a GitHub repository")
        provider = values.get("github_provider")
        if provider not in {None, "existing"}:
            raise ContextError(f"context key github_provider is {provider!r}: leave it out, or say existing")
        return cls(
            stage=stage_named(str(values["stage"])),
            digest=str(digest),
            github=github,
            provider_exists=provider == "existing",
        )
