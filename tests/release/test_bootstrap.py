"""Bootstrap of accounts in different initial states, with emulated IAM."""

import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from infra import execution_policy
from infra.permissions import TRUSTS
from infra.stages import ACCESS_STACK, STAGES, TOOLKIT_STACK, Repository
from release.aws import Aws
from release.bootstrap import create_service_linked_role, describe_isolation, provider_exists, require_repository
from release.deploy import wait_until_stable
from release.errors import NotReadyError
from tests.release.conftest import TOPIC, create_stack, nobody, run

URL = "https://token.actions.githubusercontent.com"


@pytest.fixture
def provider(aws: Aws) -> Iterator[None]:
    iam = aws.untyped("iam")
    arn = iam.create_open_id_connect_provider(Url=URL, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    yield
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


@pytest.mark.usefixtures("provider")
def test_the_provider_of_our_own_stack_stays_in_it(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise it would leave the template, and CloudFormation would delete it."""
    assert provider_exists(aws)
    create_stack(aws, ACCESS_STACK, {"Topic": TOPIC})
    assert provider_exists(aws)
    ours = {"StackResources": [{"ResourceType": "AWS::IAM::OIDCProvider"}]}  # MiniStack's stacks cannot hold one
    monkeypatch.setattr(aws.cloudformation, "describe_stack_resources", lambda **_: ours)
    assert not provider_exists(aws)
    aws.cloudformation.delete_stack(StackName=ACCESS_STACK)


@pytest.fixture
def gh(tmp_path: Path) -> Path:
    """A folder with a `gh` that knows one repository."""
    folder = tmp_path / "gh"
    folder.mkdir()
    command = folder / "gh"
    command.write_text(
        """#!/bin/sh
        case "$*" in
        "api repos/"[Ee]"xample/comments")
            echo '{"full_name":"example/comments","owner":{"id":1001},"id":2002}' ;;
        *) echo "gh: Not Found (HTTP 404)" >&2; exit 1 ;;
        esac
        """
    )
    command.chmod(0o755)
    return folder


def test_gh_looks_up_the_line_to_write(project: Path, tmp_path: Path, gh: Path) -> None:
    """The repository is data: a later plain `cdk deploy --all` would otherwise delete its roles."""
    command = ("release.bootstrap", "dev", "--github", "Example/comments")
    done = run(*command, cwd=project, environment=nobody(tmp_path) | {"PATH": str(gh)})
    assert done.returncode == 2, done.stdout
    line = 'GITHUB: Repository | None = Repository(name="example/comments", owner_id=1001, repository_id=2002)'
    assert line in done.stdout
    without = run(*command, cwd=project, environment=nobody(tmp_path) | {"PATH": "/nowhere"})
    assert without.returncode == 2, without.stdout
    assert "https://api.github.com/repos/Example/comments" in without.stdout


def test_what_gh_finds_must_be_what_is_written(monkeypatch: pytest.MonkeyPatch, gh: Path) -> None:
    monkeypatch.setenv("PATH", f"{gh}:/usr/bin:/bin")
    require_repository(STAGES["playground"], "example/comments")
    other = Repository(name="example/comments", owner_id=1001, repository_id=9)
    with pytest.raises(NotReadyError, match="does not have example/comments with these IDs"):
        require_repository(replace(STAGES["playground"], github=other), "example/comments")
    with pytest.raises(NotReadyError, match="can't look up example/none"):
        require_repository(STAGES["playground"], "example/none")


def test_an_account_that_prod_shares_is_explained() -> None:
    github = STAGES["playground"].github
    shared, separate = describe_isolation(replace(STAGES["dev"], github=github))
    assert "prod shares its account with dev and previews" in shared
    assert "any pull request from a branch of the repository" in shared
    assert "set account" in separate
    alone = replace(STAGES["prod"], github=github, account="222222222222")
    assert describe_isolation(alone) == []


@pytest.mark.parametrize(
    ("reason", "exists"),
    [("Service role name AWSServiceRoleForECS has been taken in this account", True), ("something else", False)],
)
def test_a_service_linked_role_may_exist(aws: Aws, monkeypatch: pytest.MonkeyPatch, reason: str, exists: bool) -> None:
    iam = aws.untyped("iam")
    monkeypatch.setattr(Aws, "untyped", lambda *_: iam)
    with Stubber(iam) as answers:
        answers.add_client_error("create_service_linked_role", "InvalidInput", reason)
        with nullcontext() if exists else pytest.raises(ClientError, match=reason):
            create_service_linked_role(aws, "ecs.amazonaws.com")


@pytest.mark.usefixtures("provider")
def test_an_account_that_has_the_provider_is_prepared_with_it(
    aws: Aws, project: Path, playground_environment: dict[str, str], tmp_path: Path
) -> None:
    """First the roles and the policy, in a stack without a bootstrap; then the bootstrap, which takes the policy."""
    environment = playground_environment | {"CDK_VALIDATION": "false"}
    command = ("release.bootstrap", "playground")
    refused = run(*command, cwd=project, environment=environment)
    assert refused.returncode == 2, refused.stdout
    assert "set create_provider=False of the Repository in infra/stages.py" in refused.stdout

    copy = tmp_path / "copy"
    shutil.copytree(project, copy)
    stages_file = copy / "infra/stages.py"
    name = 'name="example/comments"'
    stages_file.write_text(stages_file.read_text().replace(name, f"{name}, create_provider=False"))
    done = run(*command, cwd=copy, environment=environment)
    assert done.returncode == 0, done.stdout
    iam = aws.untyped("iam")
    (found,) = iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    for trust in TRUSTS:
        (statement,) = iam.get_role(RoleName=trust.role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"]["Federated"] == found["Arn"]
    executing = f"cdk-comments-cfn-exec-role-{aws.account}-{aws.region}"
    (attached,) = iam.list_attached_role_policies(RoleName=executing)["AttachedPolicies"]
    assert attached["PolicyName"] == execution_policy.NAME
    assert "ecs.amazonaws.com: service-linked role created" in done.stdout
    for name in (TOOLKIT_STACK, ACCESS_STACK):
        aws.cloudformation.update_termination_protection(EnableTerminationProtection=False, StackName=name)
        aws.cloudformation.delete_stack(StackName=name)
        wait_until_stable(aws, name)
