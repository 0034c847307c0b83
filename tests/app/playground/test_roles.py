"""Roles of workflows and tasks: who can assume them, and whether they have the permissions that they need."""

import copy
import json
import signal
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from playground.state import Playground
from tests.app.playground.cloud import NAME, Cloud, Running, token, wait_until
from tests.client import Answer, ask
from tests.release.permission_table import not_enforced
from tests.repository import ROOT, Clone

THREAD = 4711
DEV, PROD, READ = (f"comments-{name}" for name in ("deploy-dev", "deploy-prod", "read"))
RUNS = {
    DEV: {"environment:dev"},
    PROD: {"environment:prod"},
    READ: {"ref:refs/heads/main"},
}
"""The workflow runs that may assume each role."""


@pytest.mark.parametrize("role", RUNS)
def test_a_role_is_given_to_its_own_workflow_runs_alone(cloud: Cloud, role: str) -> None:
    runs = {run for each in RUNS.values() for run in each} | {
        "ref:refs/heads/other",
        "environment:other",
        "pull_request",
    }
    assert {run for run in runs if may_assume(cloud, role, token(run))} == RUNS[role]
    for allowed in RUNS[role]:
        for changed in (
            {"sub": f"repo:example/comments:{allowed}"},  # of the name alone, which someone else may register
            {"sub": f"repo:example@1/fork@2:{allowed}"},
            {"repository_id": "2"},
            {"aud": "https://github.com/example"},
            {"iss": "https://issuer.example"},
        ):
            assert not may_assume(cloud, role, token(allowed, **changed)), changed


def may_assume(cloud: Cloud, role: str, web_identity: str) -> bool:
    try:
        cloud.assume(role, web_identity)
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "InvalidIdentityToken"}:
            raise
        return False
    return True


@pytest.fixture
def older(cloud: Cloud, project: Clone) -> str:
    """Return the tag of an image that the stage ran before the current one."""
    if len(verified(cloud)) == 1:  # the rollout tests have not run
        project.append("app/api.py", "\n# another image\n")
        assert cloud.release(project.folder).returncode == 0
    running = cloud.task_definition()["containerDefinitions"][0]["image"].partition("@")[2]
    return next(tag for tag, digest in verified(cloud).items() if digest != running)


def verified(cloud: Cloud) -> dict[str, str]:
    """Return the digests of images that the stage has run, by tag, oldest first."""
    images = cloud.client("ecr").describe_images(repositoryName="comments")["imageDetails"]
    images.sort(key=lambda image: image["imagePushedAt"])
    return {
        tag: image["imageDigest"]
        for image in images
        for tag in image.get("imageTags", [])
        if tag.startswith("playground-")
    }


def test_the_prod_role_can_roll_back_but_not_push_images(cloud: Cloud, older: str) -> None:
    """Releases an existing image again, without building or pushing one."""
    back = cloud.release(ROOT, "playground", "--tag", older, variables=cloud.under(PROD, "environment:prod"))
    assert back.returncode == 0, back.stdout + back.stderr
    running = cloud.task_definition()["containerDefinitions"][0]["image"].partition("@")[2]
    assert running == verified(cloud)[older]
    ecr = cloud.client("ecr", **cloud.assume(PROD, token("environment:prod")))
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.initiate_layer_upload(repositoryName="comments")


def test_a_release_without_a_permission_names_it_and_who_grants_it(cloud: Cloud) -> None:
    with without(cloud, DEV, "ecr:DescribeImages"):
        failed = cloud.release(ROOT)
    assert failed.returncode in {1, 2}, failed.stdout + failed.stderr
    assert f"{DEV} lacks ecr:DescribeImages" in failed.stderr
    assert "infra/permissions.py" in failed.stderr


def test_a_request_without_a_permission_of_the_task_fails_and_its_log_names_it(cloud: Cloud) -> None:
    posted = post(cloud)
    assert posted.status == 200
    with without(cloud, role_of(cloud, "task"), "dynamodb:Query"):
        answer = ask(f"{cloud.url}/api/comment/list/{THREAD}")
    assert answer.status == 503
    story = cloud.make("logs", "ENV=playground", f"REQUEST={answer.headers['X-Request-Id']}")
    assert "dynamodb:Query" in story.stdout
    assert posted.headers["X-Request-Id"] not in story.stdout


def test_no_task_starts_without_a_permission_of_its_execution_role(cloud: Cloud) -> None:
    ecs = cloud.client("ecs")

    def task() -> dict[str, Any]:
        return dict(ecs.describe_tasks(cluster=NAME, tasks=[arn])["tasks"][0])

    with without(cloud, role_of(cloud, "execution"), "secretsmanager:GetSecretValue"):
        definition = cloud.service()["taskDefinition"]
        arn = ecs.run_task(cluster=NAME, taskDefinition=definition, launchType="FARGATE")["tasks"][0]["taskArn"]
        wait_until(lambda: task()["lastStatus"] in {"RUNNING", "STOPPED"}, "the task has started or failed to")
    assert task()["lastStatus"] == "STOPPED"
    assert "is not authorized to perform: secretsmanager:GetSecretValue " in task()["stoppedReason"]


def test_each_permission_is_used_or_documented_as_not_enforced(cloud: Cloud, project: Clone) -> None:
    """Covers successful and failed releases, commands that inspect the stage, and a moderator's request."""
    if "logs:GetLogEvents" not in permissions_used()[DEV]:  # the failure tests have not run
        project.without_circuit_breaker()  # which also uses CancelUpdateStack
        project.append("app/api.py", "\nraise SystemExit(1)\n")
        assert cloud.release(project.folder).returncode == 1
        project.replace("app/api.py", "\nraise SystemExit(1)\n", "\n# another image\n")
        assert cloud.release(project.folder).returncode == 0
    secret = cloud.client("secretsmanager").get_secret_value(SecretId="comments/playground/moderator")["SecretString"]
    mine = {"Idempotency_Key": "any", "Author_Token": "a" * 22}
    comment = post(cloud, **mine).body["id"]
    assert post(cloud, **mine).body["id"] == comment
    url = f"{cloud.url}/api/comment/{THREAD}/{comment}"
    assert ask(url, "PATCH", {"comment": "edited"}, Author_Token="a" * 22).status == 200
    assert comment in str(ask(f"{cloud.url}/api/moderation/recent", token=secret).body)
    assert ask(f"{cloud.url}/api/moderation/{THREAD}/{comment}", "DELETE", token=secret).status == 200
    read, dev = cloud.under(READ, "ref:refs/heads/main"), cloud.under(DEV, "environment:dev")
    for workflow, *command in ((read, "diff"), (read, "drift"), (read, "logs"), (dev, "sbom"), (dev, "logs")):
        looked = cloud.make(*command, "ENV=playground", f"PLAYGROUND_DIR={workflow['PLAYGROUND_DIR']}")
        assert looked.returncode == 0, looked.stdout
    for workflow in (read, dev):
        follow = Running("release", "logs", "playground", "--follow", variables=workflow)
        follow.until("request")
        follow.process.send_signal(signal.SIGINT)
        follow.finished()
    used = permissions_used()
    roles = {DEV: "dev", READ: "read"} | {role_of(cloud, kind): kind for kind in ("task", "execution")}
    for role, short in roles.items():
        unused = {(short, action) for action in actions_of(cloud, role) - used[role]}
        assert unused <= not_enforced(), role


def permissions_used() -> defaultdict[str, set[str]]:
    """Return the actions that each role has used."""
    used = defaultdict[str, set[str]](set)
    for line in Playground.from_environment().permissions_file.read_text().splitlines():
        role, action, _ = line.split(" ")
        used[role].add(action)
    return used


@contextmanager
def without(cloud: Cloud, role: str, action: str) -> Iterator[None]:
    """Temporarily remove an action from a role's policies."""
    iam = cloud.client("iam")
    documents = policies(cloud, role)
    for name, document in documents.items():
        reduced = copy.deepcopy(document)
        for held in reduced["Statement"]:
            held["Action"] = [each for each in listed(held["Action"]) if each != action] or ["none:None"]
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(reduced))
    try:
        yield
    finally:
        for name, document in documents.items():
            iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))


def policies(cloud: Cloud, role: str) -> dict[str, Any]:
    iam = cloud.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names}


def actions_of(cloud: Cloud, role: str) -> set[str]:
    """Return all actions that a deployed role's policies grant."""
    documents = policies(cloud, role).values()
    return {action for document in documents for held in document["Statement"] for action in listed(held["Action"])}


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def role_of(cloud: Cloud, kind: str) -> str:
    return str(cloud.task_definition()[f"{kind}RoleArn"]).rpartition("/")[2]


def post(cloud: Cloud, **headers: str) -> Answer:
    comment = {"email": "reader@example.com", "comment": "a comment", "content_id": THREAD}
    return ask(f"{cloud.url}/api/comment/new", "POST", comment, **headers)
