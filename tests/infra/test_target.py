from dataclasses import replace

import pytest

from infra.errors import TargetError
from infra.stages import STAGES
from infra.target import DeploymentTarget, Target, deployment_target, synthesis_target

DEV = STAGES["dev"]
ONE, TWO = "111111111111", "222222222222"


def test_a_synthesis_needs_neither_account_nor_region() -> None:
    assert synthesis_target(DEV, {}) == Target(None, None)


def test_the_environment_says_where_an_open_stage_goes() -> None:
    environ = {"CDK_DEFAULT_ACCOUNT": ONE, "CDK_DEFAULT_REGION": "eu-west-1"}
    assert synthesis_target(DEV, environ) == Target(ONE, "eu-west-1")


def test_the_region_that_the_cli_makes_up_without_credentials_counts_for_nothing() -> None:
    assert synthesis_target(DEV, {"CDK_DEFAULT_REGION": "us-east-1"}).region is None


def test_the_stage_says_where_it_goes() -> None:
    stage = replace(DEV, account=ONE, region="sa-east-1")
    assert synthesis_target(stage, {"CDK_DEFAULT_REGION": "us-east-1"}) == Target(ONE, "sa-east-1")


def test_credentials_of_another_account_than_the_stage_are_refused() -> None:
    with pytest.raises(TargetError, match=rf"account: {ONE} \(stage dev\), {TWO} \(CDK_DEFAULT_ACCOUNT\)"):
        synthesis_target(replace(DEV, account=ONE), {"CDK_DEFAULT_ACCOUNT": TWO})


def test_another_region_than_the_stage_is_refused() -> None:
    with pytest.raises(TargetError, match=r"region: sa-east-1 \(stage dev\), eu-west-1 \(AWS_REGION\)"):
        synthesis_target(replace(DEV, region="sa-east-1"), {"AWS_REGION": "eu-west-1"})


def test_the_two_variables_for_a_region_must_agree() -> None:
    """The CDK CLI reads the one, boto3 the other: a release would push to one region and deploy to the other."""
    with pytest.raises(TargetError, match=r"eu-west-1 \(AWS_REGION\), us-east-1 \(AWS_DEFAULT_REGION\)"):
        synthesis_target(DEV, {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-east-1"})


def test_a_deployment_goes_where_credentials_and_region_say() -> None:
    target = deployment_target(DEV, {"AWS_REGION": "eu-west-1"}, caller_account=ONE)
    assert target == DeploymentTarget(ONE, "eu-west-1")


def test_a_deployment_without_a_region_says_what_to_set() -> None:
    with pytest.raises(TargetError, match="no region for stage dev: set AWS_REGION"):
        deployment_target(DEV, {}, caller_account=ONE)


def test_a_deployment_without_an_account_says_what_to_provide() -> None:
    with pytest.raises(TargetError, match="no account for stage dev"):
        deployment_target(DEV, {"AWS_REGION": "eu-west-1"}, caller_account="")


def test_a_deployment_with_credentials_of_another_account_is_refused() -> None:
    with pytest.raises(TargetError, match=rf"{ONE} \(stage dev\), {TWO} \(the credentials\)"):
        deployment_target(replace(DEV, account=ONE), {"AWS_REGION": "eu-west-1"}, caller_account=TWO)
    with pytest.raises(TargetError, match="contradictory account"):
        deployment_target(DEV, {"AWS_REGION": "eu-west-1", "CDK_DEFAULT_ACCOUNT": ONE}, caller_account=TWO)
