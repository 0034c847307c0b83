"""Direct use of the `cdk` CLI against the playground, without make or the release command."""

import re

import pytest
from botocore.exceptions import ClientError

from tests.playground.conftest import Cloud

SHARED = ("CommentsAccess", "CommentsRegistry")
PLAYGROUND = (*SHARED, "CommentsFoundation-playground", "CommentsService-playground")


def status(cloud: Cloud, stack: str) -> str:
    """Return a stack's status, or an empty string if the stack doesn't exist."""
    try:
        return str(cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"])
    except ClientError as error:
        assert "does not exist" in str(error)  # noqa: PT017 - the error is optional
        return ""


@pytest.fixture(scope="module")
def running(cloud: Cloud) -> str:
    """Return the digest of the deployed image."""
    return cloud.outputs("CommentsService-playground")["DeployedDigest"]


def test_a_diff_needs_no_digest_and_shows_no_image(cloud: Cloud, running: str) -> None:
    done = cloud.cdk("diff", "-c", "stage=playground", "--fail")
    assert done.returncode == 0, done.stdout
    assert "Number of stacks with differences: 0" in done.stdout
    assert running not in done.stdout


def test_deploying_everything_keeps_the_running_image_and_every_role(cloud: Cloud, running: str) -> None:
    """Adds a tag to every stack, since the CLI skips stacks without changes."""
    done = cloud.cdk("deploy", "--all", "-c", "stage=playground", "--require-approval=never", "--tags", "typed=by-hand")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(Comments\S+): deploying", done.stdout, re.MULTILINE) == list(PLAYGROUND)
    found = cloud.outputs("CommentsService-playground")
    assert found["DeployedDigest"] == running
    assert cloud.service()["runningCount"] >= 2
    assert "CommentsDeployDevArn" in cloud.outputs("CommentsAccess")


def test_destroying_all_of_a_stage_leaves_what_stages_share(cloud: Cloud) -> None:
    done = cloud.cdk("destroy", "--all", "-c", "stage=pr-7", "--force")
    assert done.returncode == 1, done.stdout
    assert "TerminationProtection" in done.stdout
    for name in SHARED:
        assert status(cloud, name)


def test_an_unfinished_prod_is_not_deployed(cloud: Cloud, running: str) -> None:
    image = ("--parameters", f"CommentsService-prod:ImageDigest={running}")
    done = cloud.cdk("deploy", "CommentsService-prod", "-e", "-c", "stage=prod", "--require-approval=never", *image)
    assert done.returncode == 1
    assert "or allow_http=True" in done.stdout
    assert status(cloud, "CommentsService-prod") in {"", "REVIEW_IN_PROGRESS"}
