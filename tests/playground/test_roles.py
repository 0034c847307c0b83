"""Roles that GitHub workflows assume: which tokens they trust, and whether they have the permissions they need."""

import copy
import json
import signal
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import execution_policy
from infra.permissions import ISSUER, TRUSTS, Trust
from infra.stages import ACCESS_STACK, STAGES, TOOLKIT_STACK
from playground.state import ACCOUNT, REGION, Playground
from tests.playground.conftest import NAME, PROJECT, REPOSITORY, Clone, Cloud, Running, token, wait_until
from tests.release.permission_table import not_enforced

STAGE = STAGES["playground"]
THREAD = 4711
RUNS = sorted({run for trust in TRUSTS for run in trust.subjects} | {"ref:refs/heads/other", "environment:other"})
DEV, PROD, READ = "comments-deploy-dev", "comments-deploy-prod", "comments-read"
NOT_USED_HERE = {
    "ec2:DescribeVpcs": "asked for before a first deployment, which an administrator has done here",
}


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_is_given_to_its_own_workflow_runs_alone(cloud: Cloud, trust: Trust) -> None:
    """Each rejected token differs from the accepted one in a single claim."""
    recycled = replace(REPOSITORY, owner_id=9001, repository_id=9002)
    accepted = []
    for run in RUNS:
        for rejected in (
            token(run, name_only=True),
            token(run, repository=replace(REPOSITORY, name="example/fork")),
            token(run, repository=recycled),
            token(run, repository=recycled, name_only=True),
            token(run, repository_id=str(recycled.repository_id)),
            token(run, repository_id=None),
            token(run, audience="https://github.com/example"),
            token(run, issuer="https://issuer.example"),
        ):
            with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
                cloud.assume(trust.role, rejected)
        try:
            cloud.assume(trust.role, token(run))
        except ClientError as error:
            assert "AccessDenied" in str(error)  # noqa: PT017 - only some workflow runs are rejected
        else:
            accepted.append(run)
    assert sorted(accepted) == sorted(trust.subjects)


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_that_accepts_the_name_still_requires_the_id(cloud: Cloud, trust: Trust) -> None:
    run, *_ = trust.subjects
    with accepting_names(cloud, trust):
        assert cloud.assume(trust.role, token(run))
        assert cloud.assume(trust.role, token(run, name_only=True))
        for rejected in (
            token(run, name_only=True, repository_id="9002"),  # someone else registered the abandoned name
            token(run, name_only=True, repository_id=None),
            token("environment:other", name_only=True),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                cloud.assume(trust.role, rejected)


@contextmanager
def accepting_names(cloud: Cloud, trust: Trust) -> Iterator[None]:
    """Temporarily accept subjects without IDs, as with accept_name_subject=True."""
    iam = cloud.client("iam")
    document = iam.get_role(RoleName=trust.role)["Role"]["AssumeRolePolicyDocument"]
    changed = copy.deepcopy(document)
    subjects = [each for run in trust.subjects for each in replace(REPOSITORY, accept_name_subject=True).subjects(run)]
    changed["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:sub"] = subjects
    iam.update_assume_role_policy(RoleName=trust.role, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=trust.role, PolicyDocument=json.dumps(document))


def test_a_request_with_another_signature_than_its_sessions_is_refused(cloud: Cloud) -> None:
    variables = cloud.assume(READ, token("ref:refs/heads/main"))
    for changed in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        given = variables | {changed: "another"}
        logs = boto3.client(
            "logs",
            endpoint_url=cloud.endpoint,
            region_name=REGION,
            aws_access_key_id=given["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=given["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=given["AWS_SESSION_TOKEN"],
        )
        with pytest.raises(ClientError, match=r"SignatureDoesNotMatch|InvalidSignature|UnrecognizedClient"):
            logs.filter_log_events(logGroupName=STAGE.app_log_group)


def test_the_account_was_prepared_with_the_policy_before_the_bootstrap(cloud: Cloud) -> None:
    cloudformation = cloud.client("cloudformation")
    made = {stack["StackName"]: stack["CreationTime"] for stack in cloudformation.describe_stacks()["Stacks"]}
    assert made[ACCESS_STACK] < made[TOOLKIT_STACK]
    executing = f"cdk-comments-cfn-exec-role-{ACCOUNT}-{REGION}"
    attached = cloud.client("iam").list_attached_role_policies(RoleName=executing)["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == [execution_policy.NAME]


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
    return {tag: image["imageDigest"] for image in images for tag in image.get("imageTags", []) if "playground-" in tag}


def test_the_prod_role_can_roll_back_but_not_push_images(cloud: Cloud, older: str) -> None:
    """Releases an existing image again, without building or pushing one."""
    back = cloud.release(PROJECT, "playground", "--tag", older, variables=cloud.under(PROD, "environment:prod"))
    assert back.returncode == 0, back.stdout + back.stderr
    running = cloud.task_definition()["containerDefinitions"][0]["image"].partition("@")[2]
    assert running == verified(cloud)[older]
    ecr = cloud.client("ecr", **lowered(cloud.assume(PROD, token("environment:prod"))))
    with pytest.raises(ClientError, match="AccessDenied"):
        ecr.get_authorization_token()


def lowered(variables: Mapping[str, str]) -> dict[str, str]:
    """Convert credential variables to boto3's keyword arguments."""
    return {name.lower(): value for name, value in variables.items()}


def test_a_release_without_a_permission_names_it_and_who_grants_it(cloud: Cloud) -> None:
    with without(cloud, DEV, "ecr:DescribeImages"):
        failed = cloud.release(PROJECT)
    assert failed.returncode in {1, 2}, failed.stdout + failed.stderr
    assert f"{DEV} lacks ecr:DescribeImages" in failed.stderr
    assert "infra/permissions.py" in failed.stderr


def test_a_request_without_a_permission_of_the_task_fails_and_its_log_names_it(cloud: Cloud) -> None:
    posted = ask(cloud, "POST", "/api/comment/new")
    assert posted.status == 200
    with without(cloud, role_of(cloud, "task"), "dynamodb:Query"):
        answer = ask(cloud, "GET", f"/api/comment/list/{THREAD}")
    assert answer.status == 503
    story = cloud.make("logs", "ENV=playground", f"REQUEST={answer.request_id}")
    assert "dynamodb:Query" in story.stdout


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
        project.append("app/api.py", "\nraise SystemExit(1)\n")
        assert cloud.release(project.folder).returncode == 1
        project.replace("app/api.py", "\nraise SystemExit(1)\n", "\n# another image\n")
        assert cloud.release(project.folder).returncode == 0
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=STAGE.moderator_secret)["SecretString"]
    comment = ask(cloud, "POST", "/api/comment/new", key="any").body["id"]
    assert ask(cloud, "POST", "/api/comment/new", key="any").body["id"] == comment
    assert ask(cloud, "DELETE", f"/api/moderation/{THREAD}/{comment}", moderator=secret).status == 200
    read, dev = cloud.under(READ, "ref:refs/heads/main"), cloud.under(DEV, "environment:dev")
    for workflow, *command in ((read, "diff"), (read, "drift"), (read, "logs"), (dev, "sbom"), (dev, "logs")):
        looked = cloud.make(*command, "ENV=playground", f"PLAYGROUND_DIR={workflow['PLAYGROUND_DIR']}")
        assert looked.returncode == 0, looked.stdout
    for workflow in (read, dev):
        follow = Running(cloud.start("release.logs", "playground", "--follow", variables=workflow))
        follow.until("request")
        follow.process.send_signal(signal.SIGINT)
        follow.finished()
    used = permissions_used()
    roles = {DEV: "dev", READ: "read"} | {role_of(cloud, kind): kind for kind in ("task", "execution")}
    for role, short in roles.items():
        unused = {(short, action) for action in actions_of(cloud, role) - used[role] - NOT_USED_HERE.keys()}
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


@dataclass(frozen=True)
class Answer:
    """The response that a client receives."""

    status: int
    request_id: str
    body: Any


def ask(cloud: Cloud, method: str, path: str, *, key: str | None = None, moderator: str = "") -> Answer:
    """Send a request: with a comment for POST, with the moderator's token for other methods."""
    body = {"email": "reader@example.com", "comment": "a comment", "content_id": THREAD}
    headers = {"Authorization": f"Bearer {moderator}", "Content-Type": "application/json"}
    sent = urllib.request.Request(
        cloud.url + path,
        method=method,
        data=json.dumps(body).encode() if method == "POST" else None,
        headers=headers | ({"Idempotency-Key": key} if key else {}),
    )
    try:
        answer = urllib.request.urlopen(sent, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.headers["X-Request-Id"], json.load(answer))
