"""Access stack of an account: roles of GitHub workflows, CDK's deploy role, and CloudFormation's policies."""

from collections.abc import Iterable, Sequence
from typing import Any

import aws_cdk as cdk
from aws_cdk import aws_iam as iam

from infra import execution_policy
from infra.boundary import BOUNDARY_NAME, boundary, granted
from infra.config import WORKLOAD
from infra.findings import acknowledge
from infra.model import Owned, Repository, Stage
from infra.permissions import DEPLOY_STACKS, ISSUER, STACK_DEPLOYER, Statement, arn, workflow_roles
from infra.stacks.base import BaseStack

SESSION = cdk.Duration.hours(1)
"""A deployment takes minutes, and even a rollback takes less than an hour."""


class AccessStack(BaseStack):
    """Roles and policies of an account; free. Deployed before the bootstrap, which uses its policy.

    Without a repository, there is no identity provider or role for GitHub: only users with AWS credentials can deploy.
    """

    def __init__(
        self,
        scope: cdk.App,
        construct_id: str,
        *,
        repository: Repository | None,
        stages: Sequence[Stage],
        owns: Sequence[Owned],
        **kwargs: Any,
    ) -> None:
        """`stages` are those in this account; others get no role here. `owns` are the workload's own resources."""
        super().__init__(
            scope,
            construct_id,
            # Deployed with the caller's credentials. BootstraplessSynthesizer would name the bootstrap's roles.
            synthesizer=cdk.LegacyStackSynthesizer(),
            termination_protection=True,  # `cdk destroy --all` of one stage must not delete the roles of all
            tags=granted(owns),
            **kwargs,
        )
        execution = self._add_policy(
            "Execution",
            execution_policy.statements(owns),
            managed_policy_name=execution_policy.NAME,  # `cdk bootstrap` refers to it
            description=f"Permissions of CloudFormation for the {WORKLOAD.description}, used by cdk bootstrap",
        )
        self._add_policy(
            "Boundary",
            boundary(owns),
            managed_policy_name=BOUNDARY_NAME,  # service stacks refer to it
            description=f"Permissions boundary of every role of the {WORKLOAD.description}",
        )
        self._add_role(
            "StackDeployer",
            DEPLOY_STACKS,
            role_name=STACK_DEPLOYER,  # the templates' manifest refers to it
            description=f"Creates and executes change sets of the {WORKLOAD.description}'s stacks for the CDK CLI",
            assumed_by=iam.AccountRootPrincipal().with_session_tags(),  # as in CDK's bootstrap
        )
        cdk.CfnOutput(self, "ExecutionPolicyArn", value=execution.managed_policy_arn)
        if repository is None:
            return
        provider = _arn(arn("iam", f"oidc-provider/{ISSUER}", regional=False))
        if repository.create_provider:
            audience = ["sts.amazonaws.com"]
            provider = iam.CfnOIDCProvider(self, "GitHub", url=f"https://{ISSUER}", client_id_list=audience).attr_arn
        for role in workflow_roles(stages):
            subjects = [subject for run in role.subjects for subject in repository.subjects(run)]
            required = {"aud": "sts.amazonaws.com", "sub": subjects, "repository_id": str(repository.repository_id)}
            created = self._add_role(
                role.name.title().replace("-", ""),
                role.statements,
                role_name=role.name,  # the workflows' variables refer to it
                description=role.description,
                max_session_duration=SESSION,
                assumed_by=iam.WebIdentityPrincipal(
                    provider, {"StringEquals": {f"{ISSUER}:{claim}": value for claim, value in required.items()}}
                ),
            )
            cdk.CfnOutput(self, f"{created.node.id}Arn", value=created.role_arn)

    def _add_policy(self, construct_id: str, statements: Iterable[Statement], **options: Any) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(self, construct_id, **options)
        self._add_statements(policy, statements)
        return policy

    def _add_role(self, construct_id: str, statements: Iterable[Statement], **options: Any) -> iam.Role:
        role = iam.Role(self, construct_id, **options)
        self._add_statements(iam.Policy(self, f"{construct_id}Policy", roles=[role]), statements)
        return role

    def _add_statements(self, policy: iam.Policy | iam.ManagedPolicy, statements: Iterable[Statement]) -> None:
        """Add statements, and acknowledge their wildcards with the statement's reason."""
        for statement in statements:
            actions, resources = list(statement.actions), [_arn(resource) for resource in statement.resources]
            conditions = None
            if required := statement.condition:
                conditions = {"StringEquals": {required.key: [_arn(value) for value in required.values]}}
            policy.add_statements(
                iam.PolicyStatement(sid=statement.sid, actions=actions, resources=resources, conditions=conditions)
            )
            wildcards = [f"IAM5[Action::{action}]" for action in actions if "*" in action]
            wildcards += [
                f"IAM5[Resource::{_filled_in(resource, '<{}>')}]" for resource in statement.resources if "*" in resource
            ]
            acknowledge(policy, dict.fromkeys(wildcards, statement.why))


def _arn(resource: str) -> str:
    """Replace PARTITION, REGION and ACCOUNT. An inline template has at most 51,200 bytes, and Fn::Join takes more."""
    return cdk.Fn.sub(_filled_in(resource, "${{{}}}")) if "PARTITION" in resource else resource


def _filled_in(resource: str, form: str) -> str:
    for placeholder, parameter in (("PARTITION", "Partition"), ("REGION", "Region"), ("ACCOUNT", "AccountId")):
        resource = resource.replace(placeholder, form.format(f"AWS::{parameter}"))
    return resource
