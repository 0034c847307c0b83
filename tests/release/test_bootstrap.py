"""What an account has before it is prepared, from IAM on this machine."""

import json
from collections.abc import Iterator

import pytest

from infra.release import stacks
from infra.release.aws import Aws
from infra.release.bootstrap import provider_exists
from infra.stages import ACCESS_STACK

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
