from dataclasses import replace

import pytest

from infra.errors import StageError
from infra.options import Domain
from infra.stages import STAGES, stage_named
from tests.infra.synthesis import Templates, container, every, templates, templates_of, the

DOMAIN = Domain(name="comments.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")


def encrypted() -> Templates:
    return templates_of(replace(STAGES["dev"], domain=DOMAIN))


@pytest.mark.parametrize("stage", ["dev", "prod", "pr-4"])
def test_without_tls_no_token_travels_and_nobody_moderates(stage: str) -> None:
    assert not container(templates(stage).service).get("Secrets")
    assert "secretsmanager" not in str(templates(stage).service.to_json())


@pytest.mark.parametrize("templated", [encrypted(), templates("playground")], ids=["tls", "playground"])
def test_the_token_comes_from_the_secret_and_is_in_no_template(templated: Templates) -> None:
    (secret,) = container(templated.service)["Secrets"]
    assert secret["Name"] == "COMMENTS_MODERATOR_TOKEN"
    assert secret["ValueFrom"]["Fn::Join"][1][-1].endswith(f":secret:{templated.stage.moderator_secret}")
    assert "COMMENTS_MODERATOR_TOKEN" not in str(container(templated.service)["Environment"])


def test_further_settings_reach_the_task_and_cannot_move_its_store() -> None:
    settings = (("COMMENTS_MODERATION", "on"), ("COMMENTS_STORE", "sqlite:////tmp/lost.db"))
    templated = templates_of(replace(STAGES["dev"], domain=DOMAIN, settings=settings))
    environment = {pair["Name"]: pair["Value"] for pair in container(templated.service)["Environment"]}
    assert environment["COMMENTS_MODERATION"] == "on"
    assert environment["COMMENTS_STORE"] == "dynamodb://comments-dev"


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (("COMMENTS_MODERATOR_TOKEN", "a-token-that-nobody-guesses"), "no secret"),
        (("PATH", "/bin"), "takes COMMENTS_ variables"),
        (("COMMENTS_MODERATION", "on"), "needs a moderator token"),
        (("COMMENTS_STATUS_THREAD", "1"), "needs a moderator token"),
    ],
)
def test_a_setting_that_cannot_work_is_refused_by_name(
    setting: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(STAGES, "dev", replace(STAGES["dev"], settings=(setting,)))
    with pytest.raises(StageError, match=said) as refused:
        stage_named("dev")
    assert setting[0] in str(refused.value)
    assert "nobody-guesses" not in str(refused.value)


def test_ecs_alone_may_read_the_secret_and_no_other() -> None:
    service = encrypted().service
    task = the(service, "AWS::ECS::TaskDefinition")
    readers = [policy for policy in every(service, "AWS::IAM::Policy") if "secretsmanager:" in str(policy)]
    (policy,) = readers
    assert policy["Roles"] == [{"Ref": task["ExecutionRoleArn"]["Fn::GetAtt"][0]}]
    (statement,) = (each for each in policy["PolicyDocument"]["Statement"] if "secretsmanager:" in str(each))
    assert set(statement["Action"]) == {"secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"}
    # ? stands for the six characters that Secrets Manager appends to a name.
    assert statement["Resource"]["Fn::Join"][1][-1].endswith(":secret:comments/dev/moderator-??????")
