"""The configuration: the only module that reads infra/stages.py, workload.py and resources.py.

It looks up stages, once infra/validation.py finds no problem with their fields, and derives names from them.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

from infra.model import (
    Architecture,
    ConfigurationError,
    Repository,
    Service,
    Stage,
    StageError,
    TargetError,
    Workload,
    camel_case,
)
from infra.validation import problems_of_names, problems_of_stage, problems_of_workload

if TYPE_CHECKING:
    from infra.owned import OwnResources

_PACKAGE = os.environ.get("CONFIG_PACKAGE") or "infra"
"""Python package with the three files. Tests and examples have their own."""


def _load(name: str) -> Any:
    """Import one of the files. An error in it, such as a misspelled field, ends the command without a traceback."""
    spec = importlib.util.find_spec(f"{_PACKAGE}.{name}")
    try:
        if spec and spec.origin:
            for problem in problems_of_names(Path(spec.origin).read_text(), spec.origin):
                sys.exit(f"error: {_PACKAGE}/{name}.py, {problem}")
        return importlib.import_module(f"{_PACKAGE}.{name}")
    except (TypeError, NameError, SyntaxError) as error:
        frames = traceback.extract_tb(error.__traceback__)  # a SyntaxError has its line in the message
        lines = [f", line {frame.lineno}" for frame in frames if frame.filename.endswith(f"/{name}.py")]
        sys.exit(f"error: {_PACKAGE}/{name}.py{''.join(lines[-1:])}: {error}; infra/model.py explains each field")


def _require_tuples(owner: object) -> None:
    for each in fields(owner):  # type: ignore[arg-type]  # a dataclass
        if get_origin(each.type) is tuple and not isinstance(getattr(owner, each.name), tuple):
            sys.exit(f"error: {each.name} of {type(owner).__name__} must be a tuple: write (ITEM,) for a single item")


_stages = _load("stages")
WORKLOAD: Workload = _load("workload").WORKLOAD
if hasattr(_stages, "PREVIEW"):
    sys.exit(
        f"error: {_PACKAGE}/stages.py: PREVIEW is no longer supported: delete it, and add a stage to STAGES instead, or"
        " use the playground (CHANGELOG.md, 1.1.0)"
    )
for _each in (WORKLOAD, *_stages.STAGES):
    _require_tuples(_each)
PROJECT = WORKLOAD.name
TITLE = camel_case(PROJECT)
"""Prefix of the names of stacks."""
ACCESS_STACK = f"{TITLE}Access"
REGISTRY_STACK = f"{TITLE}Registry"
TOOLKIT_STACK = f"{TITLE}Toolkit"
"""The bootstrap's stack."""
BOOTSTRAP_QUALIFIER = PROJECT.replace("-", "")[:10]
"""Part of the names of the bootstrap's roles and bucket, so that other CDK apps in the account are unaffected. CDK: at
most ten letters and digits."""
DIGEST_PARAMETER = "ImageDigest"
"""CloudFormation parameter of the service stack: the digest of the image."""
PROTECTION_PARAMETER = "DeletionProtection"
"""CloudFormation parameter of `protected_stacks`: "true" or, until a release has verified the stage, "false"."""
DNS_OUTPUT = "DnsRecord"
"""Output of the service stack: the DNS record to create, if the stage's domain has no zone in Route 53."""
COPY = "confirm"
"""Stage that `make confirm` deploys and deletes: a copy of another one."""
COPY_VARIABLE = "CONFIRM_ENV"
"""Environment variable with the name of the stage that COPY is a copy of; by default, the first stage."""
PLAYGROUND = Stage(
    name="playground",
    account="000000000000",
    github=Repository(name=f"example/{PROJECT}", owner_id=1001, repository_id=2002),
    architecture=Architecture.of_this_machine(),
    max_tasks=6,
    log_days=1,
)
"""AWS emulated on this machine. It has a repository so that its tests can assume GitHub's roles."""


def _bound(stage: Stage) -> Stage:
    return replace(stage, project=PROJECT, github=stage.github or _stages.GITHUB)


_LISTED = [_bound(stage) for stage in (*_stages.STAGES, PLAYGROUND)]
STAGES: dict[str, Stage] = {stage.name: stage for stage in _LISTED}
DEFAULT_STAGE = next(iter(STAGES))
"""Stage of `cdk` commands without `-c stage=NAME`: the first one."""
STAGE_NAMES = ", ".join(STAGES)
REPOSITORY = PROJECT
"""ECR repository that all stages share."""


def own_resources() -> OwnResources | None:
    """Import the workload's own constructs; None if it has no resources.py. Slow, because that imports aws_cdk."""
    name = f"{_PACKAGE}.resources"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def stage_named(name: str) -> Stage:
    """Return a stage by its name; raise StageError for an unknown name or an invalid field."""
    if name in STAGES:
        stage = STAGES[name]
    elif name == COPY:
        stage = _copy()
    else:
        near = difflib.get_close_matches(name, STAGES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StageError(f"unknown stage {name!r}: it must be one of {STAGE_NAMES}{hint}")
    if problem := next(problems_of_workload(WORKLOAD, STAGES.values()), None):
        raise ConfigurationError(f"WORKLOAD in infra/workload.py: {problem}")
    if problem := next(problems_of_stage(stage, workload=WORKLOAD, stages=_LISTED, copy=COPY), None):
        raise StageError(f"stage {stage.name} in infra/stages.py: {problem}")
    first: dict[str | None, Stage] = {}
    for other in STAGES.values():  # stages with a registry share images, which have one architecture
        shared = first.setdefault(other.registry, other)
        if other.architecture is not shared.architecture:
            raise StageError(
                f"stage {other.name} in infra/stages.py: architecture is {other.architecture.name}, but it runs the"
                f" images of {shared.name}, which are {shared.architecture.name}"
            )
    return stage


def _copy() -> Stage:
    """Return the stage COPY: unprotected, with a web ACL, and with two tasks or more, so that one can be replaced.

    It has no domain, because that is taken, and no settings: some need HTTPS, and others would notify people.
    """
    original = os.environ.get(COPY_VARIABLE) or DEFAULT_STAGE
    if not (stage := STAGES.get(original)):
        raise StageError(f"{COPY_VARIABLE} is {original!r}; it must be one of {', '.join(STAGES)}")
    return replace(
        stage,
        name=COPY,
        copy_of=original,
        protect=False,
        promotes_from=None,
        registry_account=None,
        domain=None,
        settings=(),
        web_acl=True,
        min_tasks=max(2, stage.min_tasks),
        max_tasks=max(2, stage.max_tasks),
    )


def protected_stacks(stage: Stage) -> list[str]:
    """Return the stacks of a stage with resources whose deletion protection follows from PROTECTION_PARAMETER."""
    has_tables = any(owned.service is Service.DYNAMODB for owned in WORKLOAD.owns)
    stacks = [*([stage.foundation_stack] if has_tables else []), stage.service_stack]
    return stacks if stage.protect else []


def stages_in_account_of(stage: Stage) -> list[Stage]:
    """Return the stages in the account of `stage` according to infra/stages.py.

    Stages with `account=None` count as one account, that of the credentials, even if they are deployed with the
    credentials of different accounts. The playground includes every stage, so that each role can be tested.
    """
    stages = [other for other in STAGES.values() if not other.is_playground]
    return stages if stage.is_playground else [other for other in stages if other.account == stage.account]


def stages_in_registry_of(stage: Stage) -> list[Stage]:
    """Return the stages whose images are in the same registry as those of `stage`, protected ones first.

    As above, `account=None` counts as one account, and the playground includes every stage. A copy may be alone there.
    """
    stages = sorted(STAGES.values(), key=lambda other: not other.protect)
    return [other for other in stages if stage.is_playground or other.registry == stage.registry] or [stage]


@dataclass(frozen=True)
class Target:
    """AWS account and region; None if not known before deployment."""

    account: str | None
    region: str | None


def target_of(stage: Stage, environ: Mapping[str, str], *, caller_account: str | None = None) -> Target:
    """Return the stage's account and region; raise TargetError if the stage and the environment don't match.

    `caller_account` is the account of the credentials according to STS. The CDK CLI only sets CDK_DEFAULT_ACCOUNT if it
    finds credentials; without them, CDK_DEFAULT_REGION is always us-east-1 and therefore ignored.
    """
    where = f"stage {stage.name}"
    cdk_account = environ.get("CDK_DEFAULT_ACCOUNT")
    account = _agreed_value(
        "account", {where: stage.account, "CDK_DEFAULT_ACCOUNT": cdk_account, "the credentials": caller_account}
    )
    variables = {name: environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    region = _agreed_value("region", {where: stage.region, **variables})
    for other in STAGES.values():
        if account in {other.account, other.registry_account} - {stage.account, None} and not other.is_playground:
            raise TargetError(
                f"{where} has no account in infra/stages.py, and {account} is the account of {other.name} or of its"
                f" images: set the account of {stage.name}, even if it is the same one"
            )
    return Target(account, region or (environ.get("CDK_DEFAULT_REGION") if cdk_account else None) or None)


def _agreed_value(kind: str, sources: Mapping[str, str | None]) -> str | None:
    """Return the value that the sources agree on; None if no source has one."""
    given = {source: value for source, value in sources.items() if value}
    if len(set(given.values())) > 1:
        each = ", ".join(f"{value} ({source})" for source, value in given.items())
        raise TargetError(f"conflicting {kind}: {each}; they must match (infra/stages.py has the stage's {kind})")
    return next(iter(given.values()), None)
