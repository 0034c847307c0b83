"""IAM: task role credentials, execution role checks, GitHub's OIDC provider, and a record of permissions used."""

import base64
import json
import time
from http import HTTPStatus
from typing import Any

from ministack.core import iam_actions, iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import iam, sts

from playground.server.patching import SETTINGS, Record, patch

SESSION_SECONDS = 7 * 86400  # AWS rotates task credentials; here they are valid for a week


class NotAuthorized(Exception):
    """A role lacks a permission; carries AWS's message."""


def require(role_arn: str, action: str, resource: str) -> None:
    """Check a permission for calls that MiniStack doesn't authorize, those made by ECS and Docker.

    `role_arn` is the ARN of a role or of its session. Raises NotAuthorized.
    """
    context = iam_evaluator.EvalContext(
        principal_arn=role_arn,
        principal_type="AssumedRole",
        principal_account=get_account_id(),
        action=action,
        resource_arn=resource,
        region=get_region(),
    )
    policies = iam_evaluator._gather_role_policies(role_name(role_arn), get_account_id())
    if iam_evaluator.evaluate(context, policies).decision != "Allow":
        raise NotAuthorized(
            f"AccessDeniedException: User: {role_arn or 'the task definition without executionRoleArn'} is not "
            f"authorized to perform: {action} on resource: {resource} because no identity-based policy allows "
            f"the {action} action"
        )


def role_name(arn: str) -> str:
    """Return a role's name from the ARN of the role or of its session."""
    return arn.split("/")[1 if ":assumed-role/" in arn else -1]  # a session name follows it, a path precedes it


def role_credentials(role_arn: str, session: str) -> dict[str, str]:
    """Create temporary credentials for a role, as environment variables. MiniStack checks them on every call."""
    arn, _ = sts._assumed_role_arn(role_arn, session)
    key, secret, token = sts._gen_session_access_key(), sts._gen_secret(), sts._gen_session_token()
    sts.register_session(
        key,
        {
            "Arn": arn,
            "UserId": f"{sts._role_id(role_arn)}:{session}",
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": time.time() + SESSION_SECONDS,
            "AccountId": get_account_id(),
            "PrincipalType": "AssumedRole",
            "SourceAccessKeyId": "",
            "SourcePrincipalArn": "",
            "SessionTags": [],
            "SessionPolicies": None,
        },
    )
    return {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token}


_used: set[str] = set()

stock_evaluate = iam_evaluator.evaluate


@patch(iam_evaluator, "evaluate", gap="nothing records which permissions a role uses")
def evaluate(ctx: Any, *rest: Any) -> Any:
    """Record each permission that a role uses in the `permissions` file, once."""
    result = stock_evaluate(ctx, *rest)
    line = f"{role_name(ctx.principal_arn)} {ctx.action} {ctx.resource_arn}\n"
    if ctx.principal_type == "AssumedRole" and result.decision == "Allow" and line not in _used:
        _used.add(line)
        with SETTINGS.permissions_file.open("a") as file:
            file.write(line)
    return result


_resource_of = iam_actions.extract_resource_arn


@patch(iam_actions, "extract_resource_arn", gap="the log groups of StartLiveTail are not checked")
def extract_resource_arn(service: str, method: str, path: str, headers: Record, body: bytes, *rest: Any) -> str:
    """Return the first log group of a live tail."""
    if service == "logs" and headers.get("x-amz-target", "").endswith(".StartLiveTail"):
        return str(json.loads(body)["logGroupIdentifiers"][0])
    return str(_resource_of(service, method, path, headers, body, *rest))


_principal_of = sts._web_identity_principal


@patch(sts, "_web_identity_principal", gap="GitHub's repository_id is not available as a condition key")
def web_identity_principal(token: str, provider_id: str, role_arn: str) -> tuple[str, Record]:
    """Add the repository ID to the condition keys."""
    principal, keys = _principal_of(token, provider_id, role_arn)
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    issuer = str(claims.get("iss", "")).removeprefix("https://")
    if "repository_id" in claims:
        keys[f"{issuer}:repository_id"] = claims["repository_id"]
    return principal, keys


def create_oidc_provider(_logical_id: str, properties: Record, _stack: str) -> tuple[str, Record]:
    """Create an AWS::IAM::OIDCProvider."""
    request: Record = {"Url": [properties["Url"]]}
    for parameter, values in (("ClientIDList", "ClientIdList"), ("ThumbprintList", "ThumbprintList")):
        for number, value in enumerate(properties.get(values, []), start=1):
            request[f"{parameter}.member.{number}"] = [value]
    status, _, body = iam._create_oidc_provider(request)
    if status >= HTTPStatus.BAD_REQUEST:
        raise ValueError(f"AWS::IAM::OIDCProvider create failed: {body!r}")
    host = properties["Url"].removeprefix("https://").rstrip("/")
    arn = f"arn:aws:iam::{get_account_id()}:oidc-provider/{host}"
    return arn, {"Arn": arn}


def delete_oidc_provider(physical_id: str, _properties: Record) -> None:
    iam._delete_oidc_provider({"OpenIDConnectProviderArn": [physical_id]})


OIDC_PROVIDER: dict[str, Any] = {"create": create_oidc_provider, "delete": delete_oidc_provider}
