"""What an account has before it is prepared, from IAM on this machine."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra import execution_policy
from infra.release import stacks
from infra.release.aws import Aws
from infra.release.bootstrap import provider_exists
from infra.release.preflight import BOOTSTRAP_STACK
from infra.stages import ACCESS_STACK
from infra.trusts import TRUSTS
from tests.release.support import run

URL = "https://token.actions.githubusercontent.com"


@pytest.fixture
def provider(aws: Aws) -> Iterator[None]:
    iam = aws.untyped("iam")
    arn = iam.create_open_id_connect_provider(Url=URL, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    yield
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_an_account_has_no_provider_at_first(aws: Aws) -> None:
    assert not provider_exists(aws)


@pytest.mark.usefixtures("provider")
def test_a_provider_from_elsewhere_is_found(aws: Aws) -> None:
    assert provider_exists(aws)


@pytest.mark.usefixtures("provider")
def test_the_provider_of_our_own_stack_stays_in_it(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Called existing, it would leave the template, and CloudFormation would delete it."""
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    aws.cloudformation.create_stack(StackName=ACCESS_STACK, TemplateBody=json.dumps(template))
    stacks.settle(aws.cloudformation, ACCESS_STACK, lambda _: None)
    assert provider_exists(aws)
    ours = {"StackResources": [{"ResourceType": "AWS::IAM::OIDCProvider"}]}  # MiniStack's stacks cannot hold one
    monkeypatch.setattr(aws.cloudformation, "describe_stack_resources", lambda **_: ours)
    assert not provider_exists(aws)
    aws.cloudformation.delete_stack(StackName=ACCESS_STACK)


@pytest.mark.usefixtures("provider")
def test_an_account_that_has_the_provider_is_prepared_with_it(
    aws: Aws, project: Path, playground_environment: dict[str, str]
) -> None:
    """First the roles and the policy, in a stack without a bootstrap; then the bootstrap, which takes the policy."""
    environment = playground_environment | {"CDK_VALIDATION": "false"}
    command = ("infra.release.bootstrap", "playground", "--github", "example/comments")
    done = run(*command, cwd=project, environment=environment)
    assert done.returncode == 0, done.stdout
    assert "has GitHub's identity provider from elsewhere, which is used" in done.stdout
    iam = aws.untyped("iam")
    (found,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    for trust in TRUSTS:
        (statement,) = iam.get_role(RoleName=trust.role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"]["Federated"] == found["Arn"]
    executing = f"cdk-hnb659fds-cfn-exec-role-{aws.account}-{aws.region}"
    (attached,) = iam.list_attached_role_policies(RoleName=executing)["AttachedPolicies"]
    assert attached["PolicyName"] == execution_policy.NAME
    for name in (BOOTSTRAP_STACK, ACCESS_STACK):
        aws.cloudformation.delete_stack(StackName=name)
        stacks.settle(aws.cloudformation, name, lambda _: None)
