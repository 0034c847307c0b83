"""Explains errors of AWS: what failed, and the next step."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from infra.config import ACCESS_STACK, BOOTSTRAP_QUALIFIER, TITLE
from infra.permissions import STACK_DEPLOYER, WORKFLOW_ROLES

SIGN_IN = "the AWS credentials have expired: sign in again (aws sso login), then run this again"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_DENIAL = re.compile(
    r"User: (?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<what>[^\s\"]+)\"?)?(?P<why>[^.(\n]*)",
)
"""IAM's message, common to all services. It names no resource if the action doesn't support any."""
_LIMITED = re.compile(
    r"explicit deny|no (permissions boundary|(service|resource) control policy|session policy|VPC endpoint policy)"
)
"""Reasons why granting a permission to the role does not help."""
_NOT_ASSUMED = re.compile(
    rf"could not be used to assume '(?P<role>arn:[^']*(?:/{STACK_DEPLOYER}|-file-publishing-role-[^']*))'"
)
"""Message of the CDK CLI, which then continues with the caller's credentials; later errors are consequences."""
_NO_BODY = "error parsing HTTP 403 response body: unexpected end of JSON input"
"""Docker's message if ECR denies BatchCheckLayerAvailability, because that response has no body."""
_DEPLOY_ACCESS = f"deploy {ACCESS_STACK} again (make bootstrap)"


def explain_aws_error(error: BotoCoreError | ClientError) -> str:
    """Explain an error of boto3 in one line with the next step."""
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: sign in (aws sso login) and set AWS_PROFILE, or set AWS_ACCESS_KEY_ID"
    if isinstance(error, ProfileNotFound):
        return f"{error}: set AWS_PROFILE to an existing profile"
    if isinstance(error, SSOTokenLoadError | TokenRetrievalError | UnauthorizedSSOTokenError):
        return SIGN_IN
    if isinstance(error, BotoCoreError):
        return str(error)
    code = error.response.get("Error", {}).get("Code", "unknown")
    if code in _EXPIRED:
        return SIGN_IN
    message = error.response.get("Error", {}).get("Message", str(error))
    skewed = message.startswith(("Signature expired", "Signature not yet current"))
    advice = "; this computer's clock is wrong: set it (WSL: sudo hwclock -s), then run this again" if skewed else ""
    return explain_denial(message) or f"AWS rejected {error.operation_name}: {code}: {message}{advice}"


def explain_denial(text: str) -> str | None:
    """Return who lacks which permission and where to grant it; None if the text is not about a permission."""
    assumed = _NOT_ASSUMED.search(text)
    if assumed or _NO_BODY in text:
        action = f"sts:AssumeRole on {assumed['role']}" if assumed else "ecr:BatchCheckLayerAvailability"
        return f"these credentials lack {action}: infra/permissions.py grants it to roles, so {_DEPLOY_ACCESS}"
    denial = _DENIAL.search(text)
    if not denial:
        return None
    what = " on ".join(filter(None, (denial["action"], denial["what"])))
    # user/PATH/NAME, role/PATH/NAME or assumed-role/NAME/SESSION
    kind, *names = denial["who"].rpartition(":")[2].split("/")
    role = {"role": names[-1:], "assumed-role": names[:1]}.get(kind, [""])[0]
    subject = f"the role {role}" if role else f"the {kind} {'/'.join(names)}".rstrip()
    if "no permissions boundary" in denial["why"] and role.startswith(f"{TITLE}Service-"):
        add = f"add it to owns in infra/workload.py or to infra/boundary.py, and {_DEPLOY_ACCESS}"
        return f"{subject} lacks {what}, which its boundary does not allow: {add}"
    if _LIMITED.search(denial["why"]):
        return f"{subject} is denied {what}{denial['why'].rstrip()}: ask the account's administrator"
    if "no resource-based policy" in denial["why"]:  # of another account
        return f"{subject} lacks {what}: deploy a stage of the registry's account again, which lets others use it"
    return f"{subject} lacks {what}: {_where_granted(role)}"


def _where_granted(role: str) -> str:
    """Return where to grant the permission. This project only manages its own roles."""
    if role in {STACK_DEPLOYER, *(each.name for each in WORKFLOW_ROLES)}:
        return f"add it in infra/permissions.py if it is not there, and {_DEPLOY_ACCESS}"
    if role.startswith(f"cdk-{BOOTSTRAP_QUALIFIER}-"):
        return "infra/execution_policy.py limits what CloudFormation may do; change it and run `make bootstrap` again"
    if role.startswith(f"{TITLE}Service-"):
        return "grant it in infra/workload.py or infra/stacks/service.py; `make drift` shows changes made by hand"
    return "ask for it to be granted; infra/permissions.py lists the permissions of a release"


def missing_evidence(error: Exception) -> str:
    """Return a line for a failure whose evidence could not be read completely."""
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, BotoCoreError | ClientError):
        why = explain_aws_error(error)
    return f"some evidence is missing, because reading it failed: {why}"


def evidence_of(read: Callable[[], Iterable[str]]) -> list[str]:
    """Return the lines that explain a failure. An error while reading them must not hide the failure."""
    lines: list[str] = []
    try:
        lines.extend(read())
    except Exception as error:  # noqa: BLE001  # the original failure matters more than any error here
        lines.append(missing_evidence(error))
    return lines
