"""Each permission is needed: with it commands and requests succeed, and without it alone they fail and say why."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra import execution_policy, stages
from infra.permissions import TRUSTS, Trust
from infra.stages import ACCESS_STACK, STAGES, TOOLKIT_STACK
from playground.state import ACCOUNT, REGION
from tests.playground.cloud import NAME, Cloud, changed_project, wait_until
from tests.playground.proofs import EXECUTION, PROOFS, REQUESTS, THREAD, Proof, Request
from tests.playground.roles import REPOSITORY, Workflow, accepting_names, actions_of, assume, token, without
from tests.release.permission_table import not_enforced

pytestmark = pytest.mark.xdist_group("playground")

STAGE = STAGES["playground"]
POST = Request("dynamodb:PutItem", "POST", "/api/comment/new")
RUNS = sorted({run for trust in TRUSTS for run in trust.subjects} | {"ref:refs/heads/other", "environment:other"})


@pytest.fixture(scope="module")
def workflows(
    cloud: Cloud, playground: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Workflow]:
    """A workflow run under each role."""
    folder = tmp_path_factory.mktemp("workflows")
    return {
        trust.role: Workflow.begin(
            trust.role,
            folder / trust.role,
            playground=playground,
            credentials=assume(cloud, trust.role, token(trust.subjects[0])),
        )
        for trust in TRUSTS
    }


@pytest.fixture(scope="module")
def task_definition(cloud: Cloud) -> dict[str, Any]:
    described = cloud.client("ecs").describe_task_definition(taskDefinition=cloud.service()["taskDefinition"])
    return dict(described["taskDefinition"])


@pytest.fixture(scope="module")
def an_access_log(cloud: Cloud) -> Iterator[None]:
    """The playground's balancer writes none, and an empty bucket needs no permission to be emptied."""
    log = {"Bucket": STAGE.log_bucket(account=ACCOUNT, region=REGION), "Key": "alb/line"}
    cloud.client("s3").put_object(**log, Body=b"a line")
    yield
    cloud.client("s3").delete_object(**log)


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_is_given_to_its_own_workflow_runs_alone(cloud: Cloud, trust: Trust) -> None:
    """The rejected tokens each differ in one thing from the accepted one."""
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
                assume(cloud, trust.role, rejected)
        try:
            assume(cloud, trust.role, token(run))
        except ClientError as error:
            assert "AccessDenied" in str(error)  # noqa: PT017 - either outcome is expected of some
        else:
            accepted.append(run)
    assert sorted(accepted) == sorted(trust.subjects)


@pytest.mark.parametrize("trust", TRUSTS, ids=lambda trust: trust.role)
def test_a_role_that_accepts_the_name_still_requires_the_id(cloud: Cloud, trust: Trust) -> None:
    run, *_ = trust.subjects
    with accepting_names(cloud, trust):
        assert assume(cloud, trust.role, token(run))
        assert assume(cloud, trust.role, token(run, name_only=True))
        for rejected in (
            token(run, name_only=True, repository_id="9002"),  # the name was given up, and someone else took it
            token(run, name_only=True, repository_id=None),
            token("environment:other", name_only=True),
        ):
            with pytest.raises(ClientError, match="AccessDenied"):
                assume(cloud, trust.role, rejected)


def test_a_request_with_another_signature_than_its_sessions_is_refused(
    cloud: Cloud, workflows: dict[str, Workflow]
) -> None:
    variables = dict(
        line.split("=", 1) for line in (workflows["comments-read"].folder / "env").read_text().splitlines()
    )
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


def test_a_release_a_request_and_a_log_query_need_no_more_than_the_role_of_dev(
    cloud: Cloud, workflows: dict[str, Workflow], tmp_path: Path
) -> None:
    dev = workflows["comments-deploy-dev"]
    project = changed_project(tmp_path / "project", ending_of_api="\n# changed\n")
    released = dev.run("release", "playground", project=project)
    assert released.returncode == 0, released.stdout
    assert "pushing" in released.stdout
    assert "    tagged\n" in released.stdout
    answer = ask(cloud, POST)
    assert answer.status == 200
    found = dev.run("release.logs", "playground", "--request", answer.request_id)
    assert found.returncode == 0, found.stdout
    assert answer.request_id in found.stdout


def test_a_rollback_needs_no_more_than_the_role_of_prod(cloud: Cloud, workflows: dict[str, Workflow]) -> None:
    """Nothing is built and nothing pushed; an image that was there before is released again."""
    runs = cloud.service()["taskDefinition"]
    images = cloud.client("ecr").describe_images(repositoryName="comments")["imageDetails"]
    proven = min(images, key=lambda image: image["imagePushedAt"])
    tag = next(tag for tag in proven["imageTags"] if tag.startswith("playground-"))
    back = workflows["comments-deploy-prod"].run("release", "playground", "--tag", tag)
    assert back.returncode == 0, back.stdout
    assert cloud.service()["taskDefinition"] != runs


def test_the_role_of_prod_cannot_bring_an_image_of_its_own(workflows: dict[str, Workflow]) -> None:
    pushed = workflows["comments-deploy-prod"].run("tests.playground.pieces", "push_image")
    assert pushed.returncode == 1
    assert "the role comments-deploy-prod lacks ecr:GetAuthorizationToken" in pushed.stdout
    assert "infra/permissions.py grants it to comments-deploy-dev, comments-preview" in pushed.stdout


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("diff", "Number of stacks with differences: 0"),
        ("drift", "Number of resources with drift: 0"),
    ],
)
def test_a_look_at_the_stage_needs_no_more_than_the_role_that_reads(
    workflows: dict[str, Workflow], command: str, said: str
) -> None:
    looked = workflows["comments-read"].run("release.status", command, "playground")
    assert said in looked.stdout
    assert "role" not in looked.stdout, "what the CLI says of roles that it can do without is hidden"
    assert looked.returncode == 0, looked.stdout


@pytest.mark.usefixtures("an_access_log")
@pytest.mark.parametrize("proof", PROOFS, ids=str)
def test_a_command_fails_without_one_permission_and_names_it(
    cloud: Cloud, workflows: dict[str, Workflow], proof: Proof
) -> None:
    with without(cloud, proof.role, proof.action, of=proof.of):
        failed = workflows[proof.role].run(*proof.command)
    assert failed.returncode in {1, 2}, failed.stdout
    assert "Traceback" not in failed.stdout
    (line,) = [line for line in failed.stdout.splitlines() if re.search(rf" lacks? {proof.action}\b", line)]
    assert proof.of in line
    assert "infra/permissions.py grants it" in line


@pytest.mark.parametrize("request_", REQUESTS, ids=str)
def test_a_request_fails_without_one_permission_of_the_task_and_its_log_names_it(
    cloud: Cloud, workflows: dict[str, Workflow], task_definition: dict[str, Any], request_: Request
) -> None:
    secret = cloud.client("secretsmanager").get_secret_value(SecretId=STAGE.moderator_secret)["SecretString"]
    comment = ask(cloud, POST).body["id"]
    with without(cloud, role_of(task_definition, "task"), request_.needs):
        answer = ask(cloud, request_, comment=comment, moderator=secret)
    assert answer.status == 503
    story = workflows["comments-read"].run("release.logs", "playground", "--request", answer.request_id)
    assert f"is not authorized to perform: {request_.needs} " in story.stdout


@pytest.mark.parametrize("action", EXECUTION)
def test_no_task_starts_without_one_permission_of_its_execution_role(
    cloud: Cloud, task_definition: dict[str, Any], action: str
) -> None:
    ecs = cloud.client("ecs")

    def task() -> dict[str, Any]:
        return dict(ecs.describe_tasks(cluster=NAME, tasks=[arn])["tasks"][0])

    with without(cloud, role_of(task_definition, "execution"), action):
        started = ecs.run_task(cluster=NAME, taskDefinition=task_definition["taskDefinitionArn"], launchType="FARGATE")
        arn = started["tasks"][0]["taskArn"]
        wait_until(lambda: task()["lastStatus"] in {"RUNNING", "STOPPED"}, "the task has started or failed to")
    assert task()["lastStatus"] == "STOPPED"
    assert f"is not authorized to perform: {action} " in task()["stoppedReason"]


def test_every_permission_is_proven_or_documented_as_not_enforced(
    cloud: Cloud, task_definition: dict[str, Any]
) -> None:
    """What nothing fails without is not needed, or cannot be told here; then docs/permissions.md says why."""
    grants = {
        # The repository of previews has the same permissions as the other one.
        (
            trust.role,
            action,
            tuple(each.replace(stages.PREVIEW_REPOSITORY, stages.REPOSITORY) for each in statement.resources),
        )
        for trust in TRUSTS
        for statement in trust.statements
        for action in statement.actions
    }
    proofs = {(proof.role, proof.action) for proof in PROOFS}
    proven = {(action, resources) for role, action, resources in grants if (role, action) in proofs}
    of_workflows = {(role.rpartition("-")[2], action) for role, action, on in grants if (action, on) not in proven}
    of_tasks = {
        (kind, action)
        for kind, shown in (("task", {request.needs for request in REQUESTS}), ("execution", {*EXECUTION}))
        for action in actions_of(cloud, role_of(task_definition, kind)) - shown
    }
    assert of_workflows | of_tasks == not_enforced()


def role_of(definition: dict[str, Any], kind: str) -> str:
    return str(definition[f"{kind}RoleArn"]).rpartition("/")[2]


@dataclass(frozen=True)
class Answer:
    """What a client gets."""

    status: int
    request_id: str
    body: Any


def ask(cloud: Cloud, request: Request, *, comment: str = "", moderator: str = "") -> Answer:
    """Send a request, a POST with a comment and everything else with the moderator's token."""
    body = {"email": "reader@example.com", "comment": "a comment", "content_id": THREAD}
    headers = {"Authorization": f"Bearer {moderator}", "Content-Type": "application/json"}
    sent = urllib.request.Request(
        cloud.url + request.path.replace("COMMENT", comment),
        method=request.method,
        data=json.dumps(body).encode() if request.method == "POST" else None,
        headers=headers | ({"Idempotency-Key": request.key} if request.key else {}),
    )
    try:
        answer = urllib.request.urlopen(sent, timeout=30)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return Answer(answer.status, answer.headers["X-Request-Id"], json.load(answer))
