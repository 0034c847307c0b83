"""Says of a refused AWS call who lacks which permission, and where that is granted."""

from __future__ import annotations

import re

from infra.permissions import STACK_DEPLOYER, TRUSTS
from infra.stages import ACCESS_STACK, BOOTSTRAP_QUALIFIER

_DENIAL = re.compile(
    r"User: (?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<what>[^\s\"]+)\"?)?(?P<why>.*)",
)
"""IAM's words, the same in every service; the resource is left out where an action knows none."""
_NOT_ASSUMED = re.compile(
    rf"could not be used to assume '(?P<role>arn:[^']*(?:/{STACK_DEPLOYER}|-file-publishing-role-[^']*))'"
)
"""The CDK CLI's words. It goes on with what it has, and what then fails is no cause."""
_UNSAID = "error parsing HTTP 403 response body: unexpected end of JSON input"
"""Docker's words when ECR refuses what a push asks first, whether a layer is there: that answer has no body."""
_AGAIN = f"deploy {ACCESS_STACK} again (make bootstrap)"


def explained(text: str) -> str | None:
    """Return one line about the first permission that the text says is missing; None if it speaks of none."""
    assumed = _NOT_ASSUMED.search(text)
    unnamed = f"sts:AssumeRole on {assumed['role']}" if assumed else ""
    unnamed = unnamed or ("ecr:BatchCheckLayerAvailability" if _UNSAID in text else "")
    if unnamed:
        return (
            f"these credentials lack {unnamed}: infra/permissions.py grants it to the roles that need it, so {_AGAIN}"
        )
    denial = _DENIAL.search(text)
    if not denial:
        return None
    subject, role = _principal(denial["who"])
    what = " on ".join(filter(None, (denial["action"], denial["what"])))
    if "explicit deny" in denial["why"]:
        return f"{subject} is denied {what}{denial['why'].rstrip('. ')}: ask who administers the account"
    return f"{subject} lacks {what}: {_advice(role, denial['action'])}"


def _principal(arn: str) -> tuple[str, str]:
    """Return how to call a principal, and its name if it is a role."""
    kind, *names = arn.rpartition(":")[2].split("/")
    if kind == "user":
        return f"the user {names[-1]}", ""
    if kind in {"assumed-role", "role"}:
        name = names[0] if kind == "assumed-role" else names[-1]  # a role's path precedes its name, a session follows
        return f"the role {name}", name
    return arn, ""


def _advice(role: str, action: str) -> str:
    """Return where a role gets the permission from; roles and users from elsewhere are somebody's own."""
    trust = next((trust for trust in TRUSTS if trust.role == role), None)
    if trust and trust.grants(action):
        return f"infra/permissions.py grants it, so {_AGAIN}"
    if trust:
        holders = ", ".join(other.role for other in TRUSTS if other.grants(action))
        return f"infra/permissions.py gives it to {holders or 'no role'}; give it to this one too and {_AGAIN}"
    if role == STACK_DEPLOYER:
        return f"infra/permissions.py says which stacks the CDK CLI may deploy; change that and {_AGAIN}"
    if role.startswith(f"cdk-{BOOTSTRAP_QUALIFIER}-"):
        return "infra/execution_policy.py says what CloudFormation may do; change that and run `make bootstrap` again"
    if role.startswith("CommentsService-"):
        return "infra/stacks/service.py says what the tasks may do; `make deploy` brings it"
    return "have it granted; infra/permissions.py lists what a release needs"
