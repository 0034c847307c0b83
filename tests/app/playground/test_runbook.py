"""Runs every command of the runbook, as written, against the playground."""

import os
import re
from collections.abc import Iterator
from contextlib import suppress

import pytest

from playground.state import Playground
from tests.app.playground.cloud import NAME, Cloud, run
from tests.app.playground.traffic import listed
from tests.client import ask
from tests.machine import needs
from tests.repository import ROOT, Clone

RUNBOOK = ROOT / "docs" / "operations.md"
AWS_ONLY = "aws-only"
"""Follows ```sh on blocks that the playground can't run because it lacks point-in-time recovery."""
ENDS_THE_STAGE = "make destroy"
NOT_TYPED = ("AWS_", "MAKE", "MFLAGS", "ARGS")
"""Prefixes of variables set by other tests, or passed by `make test ARGS=…` to nested make commands."""


def blocks(*, tried_alone: bool) -> Iterator[tuple[str, str]]:
    """Yield the section and commands of each block; `tried_alone` selects those that destroy the stage."""
    section = ""
    parts = re.findall(r"^## ([^\n]+)$|^```sh ?(\S*)\n(.*?)^```", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    for heading, kind, commands in parts:
        section = heading or section
        if commands and kind != AWS_ONLY and commands.startswith(ENDS_THE_STAGE) == tried_alone:
            yield section, commands


def filled_in(commands: str, cloud: Cloud) -> str:
    """Replace each placeholder in capitals with the value that an engineer would look up."""
    values = {"STAGE": "playground"}
    if "OLDER" in commands:
        images = cloud.client("ecr").describe_images(repositoryName="comments")["imageDetails"]
        tags = [tag for image in images for tag in image.get("imageTags", [])]
        values["OLDER"] = next(tag for tag in tags if tag.startswith("playground-"))
    if "TASK" in commands:
        values["TASK"] = cloud.client("ecs").list_tasks(cluster=NAME)["taskArns"][0]
    return re.sub("|".join(values), lambda match: values[match[0]], commands)


@pytest.fixture
def lost(cloud: Cloud) -> Iterator[tuple[int, str]]:
    """Delete a comment, but keep it in a restored copy of the table; yields its thread and ID."""
    dynamodb, thread, restored = cloud.client("dynamodb"), 35_000_000, f"{NAME}-restored"
    described = dynamodb.describe_table(TableName=NAME)["Table"]
    dynamodb.create_table(
        TableName=restored,
        KeySchema=described["KeySchema"],
        AttributeDefinitions=described["AttributeDefinitions"],
        GlobalSecondaryIndexes=[
            {name: index[name] for name in ("IndexName", "KeySchema", "Projection")}
            for index in described["GlobalSecondaryIndexes"]
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    new = {"email": "reader@example.com", "comment": "lost, and found again", "content_id": thread}
    comment = ask(f"{cloud.url}/api/comment/new", "POST", new).body["id"]
    key = {"pk": {"S": f"thread#{thread}"}, "sk": {"S": comment}}
    dynamodb.put_item(TableName=restored, Item=dynamodb.get_item(TableName=NAME, Key=key)["Item"])
    dynamodb.delete_item(TableName=NAME, Key=key)
    yield thread, comment
    (ROOT / "build" / "restored.jsonl").unlink(missing_ok=True)
    with suppress(dynamodb.exceptions.ResourceNotFoundException):  # already deleted by the runbook's last command
        dynamodb.delete_table(TableName=restored)


def typed(commands: str, playground: dict[str, str]) -> None:
    """Run commands in an engineer's shell, and check that each succeeds.

    HOME stays the same: jsii's cache is there, and without it, each synthesis would unpack the CDK again.
    """
    bins = [str(ROOT / venv / "bin") for venv in (".venv", ".venv-playground")]
    own = {"PATH": os.pathsep.join([*bins, os.environ["PATH"]])}
    own |= dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    others = {name: value for name, value in os.environ.items() if not name.startswith(NOT_TYPED)}
    done = run("bash", "-euxo", "pipefail", "-c", commands, env=others | playground | own)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "commands", [pytest.param(commands, id=section) for section, commands in blocks(tried_alone=False)]
)
def test_the_commands_of_the_runbook_work_as_written(
    commands: str, cloud: Cloud, playground: dict[str, str], request: pytest.FixtureRequest
) -> None:
    thread, comment = request.getfixturevalue("lost") if "-restored" in commands else (0, "")
    typed(filled_in(commands, cloud), playground)
    if thread:
        assert listed(cloud.url, thread) == {comment}


@pytest.fixture
def destroyed(cloud: Cloud, playground: dict[str, str], was_up: bool) -> None:
    """Destroy the stage as the runbook says."""
    needs(not was_up, "the playground was up before the tests, which don't destroy it")
    ((_, commands),) = blocks(tried_alone=True)
    typed(filled_in(commands, cloud), playground)


@pytest.mark.usefixtures("destroyed")
def test_a_destroyed_stage_leaves_nothing_that_costs_and_a_first_deployment_that_fails_neither_even_if_protected(
    cloud: Cloud, project: Clone
) -> None:
    assert billed(cloud) == {}
    assert cloud.containers() == []
    without_image = cloud.cdk("deploy", "--all", "--require-approval=never")
    assert without_image.returncode == 1
    assert "The first deployment needs an image: run make deploy ENV=playground" in without_image.stdout

    administrator = os.environ | {"PLAYGROUND_DIR": str(Playground.from_environment().folder)}
    production = 'protect=True, allow_http=True, alarm_email="nobody", max_tasks=6'
    project.replace("infra/config.py", "max_tasks=6", production)
    crash = "\nraise SystemExit(1)\n"
    project.append("app/api.py", crash)
    failed = cloud.release(project.folder, variables=administrator)
    assert failed.returncode == 1, failed.stdout + failed.stderr
    assert "CommentsService-playground: the first deployment failed and was removed" in failed.stderr
    assert cloud.client("elbv2").describe_load_balancers()["LoadBalancers"] == []

    project.replace("app/api.py", crash, "")
    good = cloud.release(project.folder, variables=administrator)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "lifting its termination protection" in good.stdout
    balancers = cloud.client("elbv2")
    (balancer,) = balancers.describe_load_balancers()["LoadBalancers"]
    found = balancers.describe_load_balancer_attributes(LoadBalancerArn=balancer["LoadBalancerArn"])["Attributes"]
    assert {"Key": "deletion_protection.enabled", "Value": "true"} in found
    assert cloud.client("dynamodb").describe_table(TableName=NAME)["Table"]["DeletionProtectionEnabled"]
    for name in ("Foundation", "Service"):
        described = cloud.client("cloudformation").describe_stacks(StackName=f"Comments{name}-playground")
        assert described["Stacks"][0]["EnableTerminationProtection"]
    drift = cloud.release(project.folder, "drift", "playground", variables=administrator)
    assert drift.returncode == 0, drift.stdout + drift.stderr


def billed(cloud: Cloud) -> dict[str, list[object]]:
    """Return billable resources by kind, without the registry and CDK's bucket, which belong to no stage."""
    ec2 = cloud.client("ec2")
    buckets = [bucket["Name"] for bucket in cloud.client("s3").list_buckets()["Buckets"]]
    found = {
        "clusters": cloud.client("ecs").list_clusters()["clusterArns"],
        "load balancers": cloud.client("elbv2").describe_load_balancers()["LoadBalancers"],
        "tables": cloud.client("dynamodb").list_tables()["TableNames"],
        "secrets": cloud.client("secretsmanager").list_secrets()["SecretList"],
        "log groups": cloud.client("logs").describe_log_groups()["logGroups"],
        "alarms": cloud.client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": cloud.client("cloudwatch").list_dashboards()["DashboardEntries"],
        "web ACLs": cloud.client("wafv2").list_web_acls(Scope="REGIONAL")["WebACLs"],
        "addresses": ec2.describe_addresses()["Addresses"],
        "NAT gateways": ec2.describe_nat_gateways()["NatGateways"],
        "endpoints": ec2.describe_vpc_endpoints()["VpcEndpoints"],
        "networks": [network for network in ec2.describe_vpcs()["Vpcs"] if not network.get("IsDefault")],
        "buckets": [name for name in buckets if not name.startswith("cdk-")],
    }
    return {kind: things for kind, things in found.items() if things}
