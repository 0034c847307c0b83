"""Where a stage goes: the account and the region, from the stage's data and the environment, never guessed."""

from collections.abc import Mapping
from dataclasses import dataclass

from infra.errors import TargetError
from infra.stages import Stage


@dataclass(frozen=True)
class Target:
    """An AWS account and region; None where a synthesis may leave it open."""

    account: str | None
    region: str | None


@dataclass(frozen=True)
class DeploymentTarget:
    """An AWS account and region, both known."""

    account: str
    region: str


def synthesis_target(stage: Stage, environ: Mapping[str, str]) -> Target:
    """Return what is known; raise TargetError when the stage and the environment name different places.

    The CDK CLI sets CDK_DEFAULT_ACCOUNT only where it found credentials; its CDK_DEFAULT_REGION falls back to
    us-east-1, so that it means something only beside an account.
    """
    account = _agreed("account", _accounts(stage, environ))
    region = _agreed("region", _regions(stage, environ))
    fallback = environ.get("CDK_DEFAULT_REGION") if environ.get("CDK_DEFAULT_ACCOUNT") else None
    return Target(account, region or fallback or None)


def deployment_target(stage: Stage, environ: Mapping[str, str], *, caller_account: str) -> DeploymentTarget:
    """Return where to deploy to, or raise TargetError: what is missing, or which two sources contradict each other.

    `caller_account` is the account that the credentials belong to, as STS says.
    """
    account = _agreed("account", {**_accounts(stage, environ), "the credentials": caller_account})
    region = synthesis_target(stage, environ).region
    if not account:
        raise TargetError(f"no account for stage {stage.name}: set `account` of the stage, or provide AWS credentials")
    if not region:
        raise TargetError(f"no region for stage {stage.name}: set AWS_REGION, or the stage's in infra/stages.py")
    return DeploymentTarget(account, region)


def _accounts(stage: Stage, environ: Mapping[str, str]) -> dict[str, str | None]:
    return {f"stage {stage.name}": stage.account, "CDK_DEFAULT_ACCOUNT": environ.get("CDK_DEFAULT_ACCOUNT")}


def _regions(stage: Stage, environ: Mapping[str, str]) -> dict[str, str | None]:
    explicit = {name: environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    return {f"stage {stage.name}": stage.region, **explicit}


def _agreed(kind: str, sources: Mapping[str, str | None]) -> str | None:
    """Return the one value that every source with an opinion gives."""
    given = {source: value for source, value in sources.items() if value}
    if len(set(given.values())) > 1:
        each = ", ".join(f"{value} ({source})" for source, value in given.items())
        raise TargetError(f"contradictory {kind}: {each}; make them agree (the stage's is in infra/stages.py)")
    return next(iter(given.values()), None)
