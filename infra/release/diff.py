"""Shows what a deployment would change, at the digest that is deployed: `python -m infra.release.diff STAGE`.

Exit status: 0 nothing, 1 something, 2 it could not be found out or must not be deployed.
"""

from __future__ import annotations

import argparse

from infra.release.aws import Aws
from infra.release.command import run_command
from infra.release.deploy import Cdk
from infra.release.rules import require_same_rules
from infra.release.stacks import outputs
from infra.stages import REGISTRY_STACK, Stage, stage_named

UNCHANGED, CHANGED = 0, 1


def diff(stage: Stage) -> int:
    """Print the differences, and return whether there are any as an exit status."""
    aws = Aws.of(stage)
    # Another digest is the release's business; here it would hide what the templates change
    digest = outputs(aws.cloudformation, stage.service_stack).get("ImageDigest")
    names = (REGISTRY_STACK, stage.foundation_stack, stage.service_stack)
    cdk = Cdk(aws, print)
    differs = cdk.differs(*names, digest=digest)
    require_same_rules(aws, cdk, digest=digest)
    return CHANGED if differs else UNCHANGED


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.release.diff", description="What would a deployment change?")
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    arguments = parser.parse_args()
    run_command("diff", lambda: diff(stage_named(arguments.stage)), failed=2)


if __name__ == "__main__":
    main()
