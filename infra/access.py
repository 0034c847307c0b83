"""Who may deploy, once per account: GitHub's identity provider, one role per kind of trust, CloudFormation's policy."""

from collections.abc import Iterable
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra import execution_policy, permissions
from infra.base import BaseStack, acknowledge, wildcard
from infra.trusts import ISSUER, TRUSTS, Trust

_EXISTING = permissions.arn("iam", f"oidc-provider/{ISSUER}", regional=False)
"""AWS names a provider by its issuer."""
SESSION = cdk.Duration.hours(1)
"""A deployment takes minutes; a rollback of a stuck one less than an hour."""


class AccessStack(BaseStack):
    """Costs nothing, and needs no bootstrap, so that the bootstrap can use its policy.

    Without a repository there is no provider and no role: then nothing on GitHub may deploy, only people who hold
    credentials of the account.
    """

    def __init__(
        self,
        scope: cdk.App,
        construct_id: str,
        *,
        github: str | None,
        provider_exists: bool = False,
        registry_account: str | None = None,
        **kwargs: Any,
    ) -> None:
        """`github` is the repository, `owner/name`; an account has GitHub's provider once, maybe from elsewhere.

        `registry_account` holds the images, if this one does not: its repository's policy has to agree.
        """
        super().__init__(scope, construct_id, synthesizer=cdk.BootstraplessSynthesizer(), **kwargs)
        # Asked once: each look at a stack asks jsii's process.
        self._words = {"PARTITION": self.partition, "REGION": self.region, "ACCOUNT": self.account}
        self._words["REGISTRY"] = registry_account or self._words["ACCOUNT"]
        policy = iam.ManagedPolicy(
            self,
            "Execution",
            managed_policy_name=execution_policy.NAME,
            description="What CloudFormation may do for the comment service: cdk bootstrap takes it",
            statements=self._statements(execution_policy.STATEMENTS),
        )
        self._acknowledge(policy, execution_policy.STATEMENTS)
        unconstrained = "CloudFormation makes what has no name yet; what can be named is held to comments*"
        acknowledge(policy, {f"CKV_AWS_{number}": unconstrained for number in (107, 108, 109, 110, 111)})
        cdk.CfnOutput(self, "ExecutionPolicyArn", value=policy.managed_policy_arn)
        if github is None:
            return
        provider = self._arn(_EXISTING) if provider_exists else self._provider()
        for trust in TRUSTS:
            self._role(trust, github, provider)

    def _provider(self) -> str:
        audience = ["sts.amazonaws.com"]
        return iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=audience).attr_arn

    def _role(self, trust: Trust, github: str, provider_arn: str) -> None:
        role = iam.Role(
            self,
            trust.role.title().replace("-", ""),
            role_name=trust.role,
            description=trust.why,
            max_session_duration=SESSION,
            assumed_by=iam.WebIdentityPrincipal(
                provider_arn,
                {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": [f"repo:{github}:{subject}" for subject in trust.subjects],
                    }
                },
            ),
        )
        policy = iam.Policy(self, f"{role.node.id}Policy", roles=[role], statements=self._statements(trust.statements))
        self._acknowledge(policy, trust.statements)
        cdk.CfnOutput(self, f"{role.node.id}Arn", value=role.role_arn)

    def _statements(self, statements: Iterable[permissions.Statement]) -> list[iam.PolicyStatement]:
        return [
            iam.PolicyStatement(
                sid=statement.sid,
                actions=list(statement.actions),
                resources=[self._arn(resource) for resource in statement.resources],
            )
            for statement in statements
        ]

    def _arn(self, resource: str) -> str:
        """Fill PARTITION, REGION, ACCOUNT and REGISTRY in."""
        for word, value in self._words.items():
            resource = resource.replace(word, value)
        return resource

    def _acknowledge(self, policy: iam.Policy | iam.ManagedPolicy, statements: Iterable[permissions.Statement]) -> None:
        """Accept the wildcards that a statement gives its reason for, each by itself."""
        for statement in statements:
            actions = (f"AwsSolutions-IAM5[Action::{action}]" for action in statement.actions if "*" in action)
            resources = (wildcard(self, self._arn(resource)) for resource in statement.resources if "*" in resource)
            acknowledge(policy, dict.fromkeys((*actions, *resources), statement.why))
