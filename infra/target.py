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
    found = environ.get("CDK_DEFAULT_ACCOUNT") or None
    account = _agreed("account", stage, stage.account, {"CDK_DEFAULT_ACCOUNT": found})
    explicit = {name: environ.get(name) or None for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    region = _agreed("region", stage, stage.region, explicit)
    return Target(account, region or (found and environ.get("CDK_DEFAULT_REGION")) or None)


def deployment_target(stage: Stage, environ: Mapping[str, str], *, caller_account: str) -> DeploymentTarget:
    """Return where to deploy to, or raise TargetError: what is missing, or which two sources contradict each other.

    `caller_account` is the account that the credentials belong to, as STS says.
    """
    target = synthesis_target(stage, environ)
    account = _agreed(
        "account", stage, stage.account, {"CDK_DEFAULT_ACCOUNT": target.account, "the credentials": caller_account}
    )
    if not account:
        raise TargetError(f"no account for stage {stage.name}: set `account` of the stage, or provide AWS credentials")
    if not target.region:
        raise TargetError(
            f"no region for stage {stage.name}: set AWS_REGION, or `region` of the stage in infra/stages.py"
        )
    return DeploymentTarget(account, target.region)


def _agreed(kind: str, stage: Stage, own: str | None, others: Mapping[str, str | None]) -> str | None:
    """Return the one value that every source with an opinion gives."""
    given = {f"stage {stage.name}": own, **others}
    named = {source: value for source, value in given.items() if value}
    if len(set(named.values())) > 1:
        said = ", ".join(f"{source} says {value}" for source, value in named.items())
        raise TargetError(f"contradictory {kind}: {said}; make them agree (the stage's is in infra/stages.py)")
    return next(iter(named.values()), None)
