"""Direct use of the `cdk` CLI against the playground, without make or the release command."""

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.playground.conftest import PROJECT, Cloud

pytestmark = pytest.mark.xdist_group("playground")

Cdk = Callable[..., "subprocess.CompletedProcess[str]"]
SHARED = ("CommentsAccess", "CommentsRegistry")
PREVIEW = ("CommentsFoundation-pr-7", "CommentsService-pr-7")
PLAYGROUND = (*SHARED, "CommentsFoundation-playground", "CommentsService-playground")


@pytest.fixture(scope="module")
def cdk(playground: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cdk:
    """Return a function that runs `cdk` with the playground's credentials and a separate output folder."""
    nobody = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    environment = nobody | playground | {"CDK_VALIDATION": "false"}
    output = tmp_path_factory.mktemp("cdk.out")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["cdk", *arguments, "--no-color", "--no-notices", f"--output={output}"]
        return subprocess.run(
            command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=300, check=False
        )

    return run


def describe(cloud: Cloud, stack: str) -> dict[str, Any]:
    """Return CloudFormation's description of a stack, or an empty dictionary if the stack doesn't exist."""
    try:
        return dict(cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0])
    except ClientError as error:
        assert "does not exist" in str(error)  # noqa: PT017 - the error is optional
        return {}


@pytest.fixture(scope="module")
def running(cloud: Cloud) -> str:
    """Return the digest of the deployed image."""
    return cloud.outputs("CommentsService-playground")["DeployedDigest"]


def test_the_default_is_dev(cdk: Cdk) -> None:
    done = cdk("ls")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*SHARED, "CommentsFoundation-dev", "CommentsService-dev"]


def test_a_diff_needs_no_digest_and_shows_no_image(cdk: Cdk, running: str) -> None:
    done = cdk("diff", "-c", "stage=playground", "--fail")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Number of stacks with differences: 0" in done.stdout + done.stderr
    assert running not in done.stdout + done.stderr


def test_deploying_everything_keeps_the_running_image_and_every_role(cdk: Cdk, cloud: Cloud, running: str) -> None:
    """Adds a tag to every stack, since the CLI skips stacks without changes."""
    done = cdk("deploy", "--all", "-c", "stage=playground", "--require-approval=never", "--tags", "typed=by-hand")
    assert done.returncode == 0, done.stdout + done.stderr
    deployed = re.findall(r"^(Comments\S+): deploying", done.stdout + done.stderr, re.MULTILINE)
    assert deployed == list(PLAYGROUND)
    found = cloud.outputs("CommentsService-playground")
    assert found["DeployedDigest"] == running
    assert cloud.service()["runningCount"] >= 2
    assert "CommentsDeployDevArn" in cloud.outputs("CommentsAccess")


@pytest.fixture
def preview(cdk: Cdk, cloud: Cloud) -> Iterator[Cloud]:
    yield cloud
    for name in reversed(PREVIEW):
        cloud.client("cloudformation").delete_stack(StackName=name)
    # Only the playground's stage has GitHub's roles and its own images' rules: deploying all of pr-7 removed them.
    restored = cdk("deploy", *SHARED, "-e", "-c", "stage=playground", "--require-approval=never")
    assert restored.returncode == 0, restored.stdout + restored.stderr


def test_a_first_deployment_without_an_image_says_what_to_run_and_can_be_destroyed(cdk: Cdk, preview: Cloud) -> None:
    done = cdk("deploy", "--all", "-c", "stage=pr-7", "--require-approval=never")
    assert done.returncode == 1
    assert "The first deployment needs an image: run make deploy ENV=pr-7" in done.stdout + done.stderr
    data, service = (describe(preview, name) for name in PREVIEW)
    assert data
    assert not service or service["StackStatus"] == "REVIEW_IN_PROGRESS"

    tag = ("--parameters", "CommentsService-pr-7:ImageDigest=latest")
    refused = cdk("deploy", "CommentsService-pr-7", "-e", "-c", "stage=pr-7", "--require-approval=never", *tag)
    assert refused.returncode == 1
    assert "must be the digest of an image" in refused.stdout + refused.stderr

    gone = cdk("destroy", "*-pr-7", "-c", "stage=pr-7", "--force")
    assert gone.returncode == 0, gone.stdout + gone.stderr
    assert not describe(preview, PREVIEW[0])


def test_destroying_all_of_a_stage_leaves_what_stages_share(cdk: Cdk, cloud: Cloud) -> None:
    done = cdk("destroy", "--all", "-c", "stage=pr-7", "--force")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "TerminationProtection" in done.stdout + done.stderr
    for name in SHARED:
        assert describe(cloud, name)


def test_an_unfinished_prod_synthesizes_and_is_not_deployed(cdk: Cdk, cloud: Cloud, running: str) -> None:
    done = cdk("synth", "-c", "stage=prod", "--quiet")
    assert done.returncode == 0, done.stderr
    image = ("--parameters", f"CommentsService-prod:ImageDigest={running}")
    refused = cdk("deploy", "CommentsService-prod", "-e", "-c", "stage=prod", "--require-approval=never", *image)
    assert refused.returncode == 1
    assert "or allow_http=True" in refused.stdout + refused.stderr
    stack = describe(cloud, "CommentsService-prod")
    assert not stack or stack["StackStatus"] == "REVIEW_IN_PROGRESS"
