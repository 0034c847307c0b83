"""Bootstrap of accounts in different initial states, with emulated IAM."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from botocore.stub import Stubber

from infra import execution_policy
from infra.app import app_of
from infra.config import ACCESS_STACK, STAGES, TOOLKIT_STACK, WORKLOAD
from infra.model import Owned, Repository, Service
from infra.permissions import WORKFLOW_ROLES
from release import bootstrap as module
from release import deploy
from release.__main__ import main
from release.aws import Aws
from release.bootstrap import (
    bootstrap,
    create_service_linked_role,
    describe_isolation,
    provider_exists,
    require_bootstrapped,
    require_repository,
)
from release.command import CommandError, NotReadyError

REPOSITORY = Repository(name="example/notes", owner_id=1001, repository_id=2002)


@pytest.fixture
def provider(aws: Aws) -> Iterator[str]:
    iam, url = aws.untyped("iam"), "https://token.actions.githubusercontent.com"
    arn = iam.create_open_id_connect_provider(Url=url, ClientIDList=["sts.amazonaws.com"])["OpenIDConnectProviderArn"]
    yield arn
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)


def test_gh_looks_up_the_line_to_write_and_must_find_what_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The repository is data: a later plain `cdk deploy --all` would otherwise delete its roles."""
    gh = Mock(return_value=['{"full_name":"example/notes","owner":{"id":1001},"id":2002}'])
    monkeypatch.setattr(module, "run", gh)
    monkeypatch.setattr(sys, "argv", ["release", "bootstrap", "dev", "--github", "Example/notes"])
    with pytest.raises(SystemExit, match=r"^2$"):
        main()
    line = 'GITHUB: Repository | None = Repository(name="example/notes", owner_id=1001, repository_id=2002)'
    assert line in capsys.readouterr().err
    gh.assert_called_once_with(["gh", "api", "repos/Example/notes"])
    stage = replace(STAGES["dev"], github=REPOSITORY)
    require_repository(stage, "example/notes")
    with pytest.raises(NotReadyError, match="does not have example/notes with these IDs"):
        require_repository(replace(stage, github=replace(REPOSITORY, repository_id=9)), "example/notes")
    gh.side_effect = CommandError("gh: Not Found (HTTP 404)")
    with pytest.raises(NotReadyError, match=r"can't look up a/b: .*https://api\.github\.com/repos/a/b"):
        require_repository(stage, "a/b")


def test_an_account_that_prod_shares_is_explained() -> None:
    (shared,) = describe_isolation(replace(STAGES["dev"], github=REPOSITORY))
    assert "prod shares its account with dev, " in shared
    assert "set account of each" in shared
    assert describe_isolation(replace(STAGES["prod"], github=REPOSITORY, account="222222222222")) == []


def test_a_playground_that_was_started_for_another_workload_is_taken_down(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bootstrap would refuse the identity provider that the other one has created."""
    monkeypatch.setattr(module, "describe", lambda *_: None)
    with pytest.raises(NotReadyError, match="run `make playground-down`"):
        require_bootstrapped(aws)


def test_a_service_linked_role_may_exist(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    iam = aws.untyped("iam")
    monkeypatch.setattr(Aws, "untyped", lambda *_: iam)
    with Stubber(iam) as stubber:
        exists = "Service role name AWSServiceRoleForECS has been taken in this account"
        stubber.add_client_error("create_service_linked_role", "InvalidInput", exists)
        create_service_linked_role(aws, "ecs.amazonaws.com")


def test_an_account_that_has_the_provider_is_prepared_with_it(
    aws: Aws, provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """First the roles and the policy, in a stack without a bootstrap; then the bootstrap, which takes the policy."""
    monkeypatch.setattr(Aws, "of", lambda stage: replace(aws, stage=stage))
    with pytest.raises(NotReadyError, match=r"set create_provider=False of the Repository in infra/stages\.py"):
        bootstrap(aws.stage, github=None)
    stage = replace(aws.stage, github=replace(REPOSITORY, create_provider=False))
    app_of(stage, outdir=str(tmp_path)).synth()
    monkeypatch.setattr(deploy, "_assembly", lambda _: tmp_path)
    bootstrap(stage, github=None)
    iam = aws.untyped("iam")
    for role in WORKFLOW_ROLES:
        (statement,) = iam.get_role(RoleName=role.name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"]["Federated"] == provider
    require_bootstrapped(aws)
    more = (*WORKLOAD.owns, Owned(service=Service.SES, name="example.com", actions=("ses:SendEmail",)))
    with monkeypatch.context() as changed:
        changed.setattr(module, "WORKLOAD", replace(WORKLOAD, owns=more))
        with pytest.raises(
            NotReadyError, match=r"owns in .*/workload\.py has \(ses\): run `make bootstrap ENV=playground`"
        ):
            require_bootstrapped(aws)
    executing = f"cdk-notes-cfn-exec-role-{aws.account}-{aws.region}"
    (attached,) = iam.list_attached_role_policies(RoleName=executing)["AttachedPolicies"]
    assert attached["PolicyName"] == execution_policy.NAME
    assert "ecs.amazonaws.com: service-linked role created" in capsys.readouterr().out
    # A second run must not refuse the provider that its own stack has created; MiniStack's stacks have none.
    assert provider_exists(aws)
    ours = {"StackResources": [{"ResourceType": "AWS::IAM::OIDCProvider"}]}
    monkeypatch.setattr(aws.cloudformation, "describe_stack_resources", lambda **_: ours)
    assert not provider_exists(aws)
    for name in (TOOLKIT_STACK, ACCESS_STACK):
        aws.cloudformation.update_termination_protection(EnableTerminationProtection=False, StackName=name)
        aws.cloudformation.delete_stack(StackName=name)
        deploy.wait_until_stable(aws, name)
