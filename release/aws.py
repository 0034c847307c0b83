"""The one place that makes AWS clients and the environment of every tool, so that both talk to the same AWS."""

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
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from infra.stages import Stage, TargetError, target_of
from release import denials
from release.errors import AwsError
from release.platforms import Platform, platform_of
from release.tools import PROJECT_ROOT

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_ecr import ECRClient
    from types_boto3_ecs import ECSClient
    from types_boto3_elbv2 import ElasticLoadBalancingv2Client
    from types_boto3_logs import CloudWatchLogsClient

_CLIENT = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 5})
_QUIET_TOOLS = {
    "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",  # an attestation turns the image into an index, which basic scans refuse
    "CDK_DISABLE_CLI_TELEMETRY": "1",
    "CDK_DISABLE_VERSION_CHECK": "1",
    "AWS_PAGER": "",
}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_EXPIRED_ADVICE = "the AWS credentials have expired: sign in again (aws sso login), then run this again"
_UNKNOWN_KEY = {"InvalidClientTokenId", "UnrecognizedClientException", "SignatureDoesNotMatch", "AuthFailure"}


@dataclass(frozen=True)
class Aws:
    """A stage's account and region, reached with one set of credentials."""

    stage: Stage
    platform: Platform
    environment: Mapping[str, str]
    """Of every tool; it names the same AWS as the clients below."""
    account: str
    region: str

    @classmethod
    def of(cls, stage: Stage) -> Aws:
        """Ask AWS whose credentials these are; raise what boto3 raises, NotReadyError or TargetError."""
        platform = platform_of(stage)
        environment = platform.environment(os.environ) | _QUIET_TOOLS
        environment["PATH"] = os.pathsep.join([*_tool_folders(), environment.get("PATH", os.defpath)])
        # botocore reads this process's variables, and has no way to be given others
        os.environ.clear()
        os.environ.update(environment)
        session = boto3.Session()
        if not (environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION")):
            environment["AWS_REGION"] = session.region_name or ""  # the profile's
        # STS says the same in every region; which one the stage goes to is decided below
        anywhere = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1"
        caller = session.client("sts", region_name=anywhere, config=_CLIENT).get_caller_identity()
        target = target_of(stage, environment, caller_account=caller["Account"])
        if not target.account or not target.region:
            raise TargetError(f"no region for stage {stage.name}: set AWS_REGION, or the stage's in infra/stages.py")
        environment["AWS_REGION"] = environment["AWS_DEFAULT_REGION"] = target.region
        return cls(stage, platform, environment, target.account, target.region)

    @property
    def registry_account(self) -> str:
        return self.stage.registry_account or self.account

    @property
    def image_name(self) -> str:
        """Where Docker pushes to, without a tag."""
        host = self.platform.registry_host(account=self.registry_account, region=self.region)
        return f"{host}/{self.stage.image_repository}"

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
        return self._session.client("logs", config=_CLIENT)

    def untyped(self, service: str) -> Any:
        """Return a client of a service whose type stubs are not installed."""
        return self._session.client(service, config=_CLIENT)  # type: ignore[call-overload]  # any name is one of boto3's

    @cached_property
    def _session(self) -> boto3.Session:
        return boto3.Session(region_name=self.region)


def explained(error: BotoCoreError | ClientError) -> AwsError:
    """Return what an error of boto3 means to the person who releases, and what to do about it."""
    if isinstance(error, ClientError):
        return _refused(error)
    if isinstance(error, NoCredentialsError):
        return AwsError("no AWS credentials: sign in (aws sso login) and set AWS_PROFILE, or set AWS_ACCESS_KEY_ID")
    if isinstance(error, ProfileNotFound):
        return AwsError(f"{error}: set AWS_PROFILE to one that exists")
    if isinstance(error, TokenRetrievalError | SSOTokenLoadError | UnauthorizedSSOTokenError):
        return AwsError(f"{_EXPIRED_ADVICE} ({error})")
    return AwsError(f"AWS cannot be reached or used: {error}")


def _refused(error: ClientError) -> AwsError:
    code = error.response.get("Error", {}).get("Code", "unknown")
    if code in _EXPIRED:
        return AwsError(_EXPIRED_ADVICE)
    if code in _UNKNOWN_KEY:
        return AwsError(f"AWS does not accept these credentials ({code}): check AWS_PROFILE or AWS_ACCESS_KEY_ID")
    message = error.response.get("Error", {}).get("Message", str(error))
    denial = denials.explained(message)
    return AwsError(denial or f"AWS refused {error.operation_name}: {code}: {message}")


def _tool_folders() -> tuple[str, ...]:
    """Return where the set-up installs the tools, so that the command works without make's PATH."""
    return str(Path(sys.executable).parent), str(PROJECT_ROOT / "node_modules" / ".bin")
