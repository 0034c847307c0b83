"""Errors that end a command, and what AWS's errors mean. Only `release.command` turns them into exit statuses."""

import re

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ProfileNotFound,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from infra.permissions import STACK_DEPLOYER, WORKFLOW_ROLES
from infra.stages import ACCESS_STACK, BOOTSTRAP_QUALIFIER, ConfigurationError


class ReleaseError(Exception):
    """`summary` is one line with the problem and the next step. `details` are supporting lines."""

    def __init__(self, summary: str, *details: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = details


class NotReadyError(ReleaseError):
    """Something is missing on this machine or in the account; nothing was changed."""


class CommandError(ReleaseError):
    """A tool exited with a status other than 0; `details` are the last lines of its output."""


class DeploymentError(ReleaseError):
    """CloudFormation or ECS failed; `details` are the causes and the evidence."""


class NotVerifiedError(ReleaseError):
    """The deployment succeeded, but another image runs or the API doesn't respond as expected."""


_SIGN_IN = "the AWS credentials have expired: sign in again (aws sso login), then run this again"
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_DENIAL = re.compile(
    r"User: (?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<what>[^\s\"]+)\"?)?(?P<why>.*)",
)
"""IAM's message, common to all services. It names no resource if the action doesn't support any."""
_NOT_ASSUMED = re.compile(
    rf"could not be used to assume '(?P<role>arn:[^']*(?:/{STACK_DEPLOYER}|-file-publishing-role-[^']*))'"
)
"""Message of the CDK CLI, which then continues with the caller's credentials; later errors are consequences."""
_NO_BODY = "error parsing HTTP 403 response body: unexpected end of JSON input"
"""Docker's message if ECR denies BatchCheckLayerAvailability, because that response has no body."""
_DEPLOY_ACCESS = f"deploy {ACCESS_STACK} again (make bootstrap)"


def explain_error(error: ReleaseError | ConfigurationError | BotoCoreError | ClientError) -> list[str]:
    """Return the problem with the next step, then supporting lines."""
    if isinstance(error, ReleaseError):
        return [error.summary, *error.details]
    return [str(error) if isinstance(error, ConfigurationError) else explain_aws_error(error)]


def explain_aws_error(error: BotoCoreError | ClientError) -> str:
    """Explain an error of boto3 in one line with the next step."""
    if isinstance(error, NoCredentialsError):
        return "no AWS credentials: sign in (aws sso login) and set AWS_PROFILE, or set AWS_ACCESS_KEY_ID"
    if isinstance(error, ProfileNotFound):
        return f"{error}: set AWS_PROFILE to an existing profile"
    if isinstance(error, SSOTokenLoadError | TokenRetrievalError | UnauthorizedSSOTokenError):
        return _SIGN_IN
    if isinstance(error, BotoCoreError):
        return str(error)
    code = error.response.get("Error", {}).get("Code", "unknown")
    if code in _EXPIRED:
        return _SIGN_IN
    message = error.response.get("Error", {}).get("Message", str(error))
    return explain_denial(message) or f"AWS rejected {error.operation_name}: {code}: {message}"


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
    if "explicit deny" in denial["why"]:
        return f"{subject} is denied {what}{denial['why'].rstrip('. ')}: ask the account's administrator"
    return f"{subject} lacks {what}: {_where_granted(role)}"


def _where_granted(role: str) -> str:
    """Return where to grant the permission. This project only manages its own roles."""
    if role in {STACK_DEPLOYER, *(each.name for each in WORKFLOW_ROLES)}:
        return f"add it in infra/permissions.py if it is not there, and {_DEPLOY_ACCESS}"
    if role.startswith(f"cdk-{BOOTSTRAP_QUALIFIER}-"):
        return "infra/execution_policy.py limits what CloudFormation may do; change it and run `make bootstrap` again"
    if role.startswith("CommentsService-"):
        return "grant it in infra/stacks/service.py; `make drift` shows changes made by hand"
    return "ask for it to be granted; infra/permissions.py lists the permissions of a release"
