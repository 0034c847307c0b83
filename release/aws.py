"""AWS clients and the environment of tools such as cdk and docker, for the same account and region."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from infra.stages import Stage, TargetError, target_of
from playground.client import load_environment
from release.errors import NotReadyError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ecr import ECRClient
    from types_boto3_ecs import ECSClient
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_logs import CloudWatchLogsClient

PROJECT_ROOT = Path(__file__).resolve().parents[1]
"""Root of the git repository. Every tool runs here."""
_CLIENT = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
_STREAMING = Config(inject_host_prefix=False)
"""Don't prefix the playground's address with the host name of CloudWatch's streaming API."""
_TOOL_SETTINGS = {
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # they turn the image into an index, which basic scanning doesn't support
    "CDK_DISABLE_CLI_TELEMETRY": "1",
    "CDK_DISABLE_VERSION_CHECK": "1",
    "SYFT_CHECK_FOR_APP_UPDATE": "false",
    "AWS_PAGER": "",
}


@dataclass(frozen=True)
class Aws:
    """Account, region and clients of a stage."""

    stage: Stage
    environment: Mapping[str, str]
    """Environment variables for tools."""
    account: str
    region: str

    @classmethod
    def of(cls, stage: Stage) -> Aws:
        """Look up the account of the credentials; raise NotReadyError, TargetError or boto3's errors."""
        environment = tool_environment(stage, os.environ)
        # botocore only reads the variables of this process
        os.environ.clear()
        os.environ.update(environment)
        session = boto3.Session()
        if not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
            environment["AWS_REGION"] = session.region_name or ""  # of the profile
        # STS responds the same in every region; the stage's region is determined below
        any_region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        caller = session.client("sts", region_name=any_region, config=_CLIENT).get_caller_identity()
        target = target_of(stage, environment, caller_account=caller["Account"])
        if not target.account or not target.region:
            raise TargetError(
                f"no region for stage {stage.name}: set AWS_REGION, or the stage's region in infra/stages.py"
            )
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = target.region
        return cls(stage, environment, target.account, target.region)

    @property
    def registry_account(self) -> str:
        return self.stage.registry_account or self.account

    @property
    def image_name(self) -> str:
        """Registry and repository that Docker pushes to, without a tag."""
        host = f"{self.registry_account}.dkr.ecr.{self.region}.amazonaws.com"
        if self.stage.is_playground:
            host = self.environment["PLAYGROUND_REGISTRY"]
        return f"{host}/{self.stage.image_repository}"

    @property
    def log_group_arn(self) -> str:
        partition = self._session.get_partition_for_region(self.region)
        return f"arn:{partition}:logs:{self.region}:{self.account}:log-group:{self.stage.app_log_group}"

    @cached_property
    def cloudformation(self) -> CloudFormationClient:
        return self._session.client("cloudformation", config=_CLIENT)

    @cached_property
    def ecr(self) -> ECRClient:
        return self._session.client("ecr", config=_CLIENT)

    @cached_property
    def ecs(self) -> ECSClient:
        return self._session.client("ecs", config=_CLIENT)

    @cached_property
    def elbv2(self) -> ElasticLoadBalancingv2Client:
        return self._session.client("elbv2", config=_CLIENT)

    @cached_property
    def logs(self) -> CloudWatchLogsClient:
        config = _CLIENT.merge(_STREAMING) if self.stage.is_playground else _CLIENT
        return self._session.client("logs", config=config)

    def untyped(self, service: str) -> Any:
        """Return a client of a service whose type stubs are not installed."""
        return self._session.client(service, config=_CLIENT)  # type: ignore[call-overload]  # the stubs only accept literal names

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(region_name=self.region)


def tool_environment(stage: Stage, environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables for clients and tools; raise NotReadyError if AWS_ENDPOINT_URL would redirect them."""
    if stage.is_playground:
        environment = _playground_environment(environ)
    else:
        environment = dict(environ)
        elsewhere = [name for name in environ if name.startswith("AWS_ENDPOINT_URL")]
        if elsewhere:
            raise NotReadyError(
                f"{elsewhere[0]} is set, so this would not reach AWS: unset it, or use the stage playground"
            )
    # Where make setup installs tools, so that commands work without make's PATH.
    installed = (str(Path(sys.executable).parent), str(PROJECT_ROOT / "node_modules" / ".bin"))
    path = os.pathsep.join([*installed, environment.get("PATH", os.defpath)])
    return environment | _TOOL_SETTINGS | {"PATH": path}


def _playground_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Replace the user's AWS settings with the playground's; raise PlaygroundError if it isn't up."""
    others = {name: value for name, value in environ.items() if not name.startswith("AWS_")}
    no_files = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
    return others | no_files | load_environment()
