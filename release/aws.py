"""Account, region and clients of a stage, and the environment variables of tools such as cdk and docker."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from infra.config import REGISTRY_STACK, REPOSITORY, target_of
from infra.model import Stage, TargetError
from release import playground
from release.aws_errors import explain_aws_error
from release.command import ROOT, NotReadyError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ecr import ECRClient
    from types_boto3_ecs import ECSClient
    from types_boto3_logs import CloudWatchLogsClient

_CLIENT = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
TOOL_SETTINGS = {
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # they turn the image into an index, which basic scanning doesn't support
    "CDK_DISABLE_CLI_TELEMETRY": "1",
    "CDK_DISABLE_VERSION_CHECK": "1",
    "FORCE_COLOR": "0",
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    "AWS_PAGER": "",
}


@dataclass(frozen=True)
class Aws:
    """Account, region and clients of a stage."""

    stage: Stage
    account: str
    region: str

    @classmethod
    def of(cls, stage: Stage) -> Aws:
        """Look up the account of the credentials, and set the variables of this process for clients and tools.

        Raises NotReadyError or TargetError.
        """
        set_environment(stage)
        try:
            given = os.environ.get("AWS_REGION") or boto3.Session().region_name
            # STS responds the same in every region.
            sts = boto3.client("sts", region_name=given or "us-east-1", config=_CLIENT)
            caller = sts.get_caller_identity()
        except (BotoCoreError, ClientError) as error:
            raise NotReadyError(explain_aws_error(error)) from error
        if (package := os.environ.get("CONFIG_PACKAGE")) and not stage.is_playground:
            raise NotReadyError(
                f"CONFIG_PACKAGE is {package}, so {stage.name} is not that of infra/stages.py: unset it, or use the"
                " stage playground"
            )
        variables = os.environ | ({"AWS_REGION": given} if given else {})
        target = target_of(stage, variables, caller_account=caller["Account"])
        if not target.account or not target.region:
            raise TargetError(
                f"no region for stage {stage.name}: set AWS_REGION, or the stage's region in infra/stages.py"
            )
        os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = target.region
        return cls(stage, target.account, target.region)

    @property
    def registry_account(self) -> str:
        return self.stage.registry_account or self.account

    @property
    def registry_stacks(self) -> tuple[str, ...]:
        """The registry's stack, unless it is in another account."""
        return (REGISTRY_STACK,) if self.registry_account == self.account else ()

    @property
    def image_name(self) -> str:
        """Registry and repository that Docker pushes to, without a tag."""
        _, _, domain = self.ecr.meta.endpoint_url.partition(f".{self.region}.")  # amazonaws.com, or that of a partition
        host = f"{self.registry_account}.dkr.ecr.{self.region}.{domain}"
        if self.stage.is_playground:
            host = playground.registry_host()
        return f"{host}/{REPOSITORY}"

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return self.session.client("cloudformation", config=_CLIENT)

    @cached_property
    def ecr(self) -> ECRClient:
        # Docker's host name is derived from the endpoint's domain; dual-stack endpoints have another.
        return self.session.client("ecr", config=_CLIENT.merge(Config(use_dualstack_endpoint=False)))

    @cached_property
    def ecs(self) -> ECSClient:
        return self.session.client("ecs", config=_CLIENT)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        return self.session.client("logs", config=_CLIENT)

    def untyped(self, service: str) -> Any:
        """Return a client of a service whose type stubs are not installed."""
        return self.session.client(service, config=_CLIENT)  # type: ignore[call-overload]  # the stubs only accept literal names

    @cached_property
    def session(self) -> boto3.Session:
        return boto3.Session(region_name=self.region)


def set_environment(stage: Stage) -> None:
    """Set the variables of this process for clients and tools; raise NotReadyError if they don't reach the stage."""
    if stage.is_playground:
        playground.set_variables()
    elif elsewhere := [name for name in os.environ if name.startswith("AWS_ENDPOINT_URL")]:
        raise NotReadyError(
            f"{elsewhere[0]} is set, so this would not reach AWS: unset it, or use the stage playground"
        )
    # Where make setup and make tools install them, so that commands work without make's PATH.
    installed = (str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin"))
    os.environ.update(TOOL_SETTINGS, PATH=os.pathsep.join([*installed, os.environ.get("PATH", os.defpath)]))
