"""Direct use of the `cdk` CLI against the playground, without make or the release command."""

import re

import pytest

from tests.app.playground.cloud import Cloud

SHARED = ("CommentsAccess", "CommentsRegistry")
PLAYGROUND = (*SHARED, "CommentsFoundation-playground", "CommentsService-playground")


def stacks(cloud: Cloud) -> dict[str, str]:
    """Return the status of each stack."""
    described = cloud.client("cloudformation").describe_stacks()["Stacks"]
    return {stack["StackName"]: stack["StackStatus"] for stack in described}


@pytest.fixture(scope="module")
def running(cloud: Cloud) -> str:
    """Return the digest of the deployed image."""
    return cloud.outputs("CommentsService-playground")["DeployedDigest"]


def test_a_diff_needs_no_digest_and_shows_no_image(cloud: Cloud, running: str) -> None:
    done = cloud.cdk("diff", "--fail")
    assert done.returncode == 0, done.stdout
    assert "Number of stacks with differences: 0" in done.stdout
    assert running not in done.stdout


def test_deploying_everything_keeps_the_running_image_and_every_role(cloud: Cloud, running: str) -> None:
    """Adds a tag to every stack, since the CLI skips stacks without changes."""
    done = cloud.cdk("deploy", "--all", "--require-approval=never", "--tags", "typed=by-hand")
    assert done.returncode == 0, done.stdout
    assert re.findall(r"^(Comments\S+): deploying", done.stdout, re.MULTILINE) == list(PLAYGROUND)
    found = cloud.outputs("CommentsService-playground")
    assert found["DeployedDigest"] == running
    assert cloud.service()["runningCount"] >= 2
    assert "CommentsDeployDevArn" in cloud.outputs("CommentsAccess")


def test_destroying_all_of_a_stage_leaves_what_stages_share(cloud: Cloud) -> None:
    done = cloud.cdk("destroy", "--all", "--force", stage="dev")
    assert done.returncode == 1, done.stdout
    assert "TerminationProtection" in done.stdout
    assert set(SHARED) <= stacks(cloud).keys()


def test_an_unfinished_prod_is_not_deployed(cloud: Cloud, running: str) -> None:
    image = ("--parameters", f"CommentsService-prod:ImageDigest={running}")
    done = cloud.cdk("deploy", "CommentsService-prod", "-e", "--require-approval=never", *image, stage="prod")
    assert done.returncode == 1
    assert "or allow_http=True" in done.stdout
    assert stacks(cloud).get("CommentsService-prod", "REVIEW_IN_PROGRESS") == "REVIEW_IN_PROGRESS"
