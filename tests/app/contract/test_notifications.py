"""Stages that notify moderators: secrets, permissions and settings, and what is refused."""

from dataclasses import replace

import pytest
from aws_cdk.assertions import Template

from comments.config import load_settings, unknown_variables
from infra import workload
from infra.cost.bill import bill
from infra.model import Egress, Owned, Service, Stage
from tests.app.contract.synthesis import NOTIFYING, templates
from tests.app.support import ROOT
from tests.infra.synthesis import container, environment, every, statements_of, the

MAIL = (("COMMENTS_MAIL_FROM", "comments@example.com"), ("COMMENTS_MAIL_TO", "ann@example.com"))


def secrets(template: Template) -> dict[str, str | None]:
    """Return the initial values of the secrets by name; None is a random one."""
    found = every(template, "AWS::SecretsManager::Secret")
    return {each["Name"]: each.get("SecretString") for each in found}


def test_a_stage_with_notifications_has_the_secrets_the_identity_and_the_permission(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = templates("dev", NOTIFYING)
    named = {"comments/dev/moderator": None, "comments/dev/webhook-key": None, "comments/dev/webhook-url": "none"}
    assert secrets(stage.data) == named
    assert the(stage.data, "AWS::SES::EmailIdentity")["EmailIdentity"] == "example.com"
    task = the(stage.service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    assert "ses:SendEmail" in [each["Action"] for each in statements_of(stage.service, task)]
    # The service starts with the initial values of the secrets.
    random = "aB3" * 13 + "x"
    initial = {
        each["Name"]: "none" if each["Name"].endswith("_URL") else random
        for each in container(stage.service)["Secrets"]
    }
    variables = environment(stage.service) | initial
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert unknown_variables(variables) == []
    assert (settings.notify, settings.url) == (("webhook", "mail"), "https://comments.example.com")
    assert settings.mail_server.get_secret_value() == "ses:"


def test_a_stage_without_notifications_has_none_of_it() -> None:
    stage = templates("prod", NOTIFYING)
    assert secrets(stage.data) == {"comments/prod/moderator": None}
    assert every(stage.data, "AWS::SES::EmailIdentity") == []
    assert not environment(stage.service).keys() & {"COMMENTS_NOTIFY", "COMMENTS_URL", "COMMENTS_MAIL_SERVER"}


def test_the_estimate_contains_email_and_the_metric_of_the_alarm() -> None:
    bills = [bill([each.to_json() for each in templates(name, NOTIFYING).all], 0) for name in ("dev", "prod")]
    dev, prod = ({line.label: line.dollars for line in each.lines} for each in bills)
    assert ("emails" in dev, "emails" in prod) == (True, False)
    metrics = "metrics of the workload"
    assert (dev[metrics], prod[metrics]) == (0.60, 0.30), "`failed`, and with notifications `undelivered_seconds`"


def test_an_alarm_and_the_dashboard_know_notifications_that_wait() -> None:
    dev, prod = (templates(name, NOTIFYING).service for name in ("dev", "prod"))
    (alarm,) = [each for each in every(dev, "AWS::CloudWatch::Alarm") if each["AlarmName"].endswith("-undelivered")]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("comments/dev", "undelivered_seconds")
    assert alarm["Namespace"] == environment(dev)["COMMENTS_METRICS"]
    assert "Dimensions" not in alarm
    assert (alarm["Statistic"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Maximum", 900, "notBreaching")
    section = alarm["AlarmDescription"].rpartition("#")[2].replace("-", " ")
    assert f"\n## {section.capitalize()}\n" in (ROOT / "docs/operations.md").read_text()
    shown = [str(the(each, "AWS::CloudWatch::Dashboard")) for each in (dev, prod)]
    for content in ("undelivered_seconds", "max(pending)"):
        assert [content in each for each in shown] == [True, False]
    assert "undelivered" not in str(every(prod, "AWS::CloudWatch::Alarm"))


@pytest.mark.parametrize(
    ("notify", "more", "message"),
    [
        ("webhook", {"egress": Egress.ENDPOINTS}, "webhook, but egress ENDPOINTS has no route to it"),
        (
            "mail",
            {"settings": MAIL[1:]},
            "COMMENTS_MAIL_FROM is '', which MAIL in infra/workload.py, example.com, does not include",
        ),
        ("mail", {"settings": MAIL[:1]}, "mail, which needs COMMENTS_MAIL_TO"),
        ("mail", {"settings": (*MAIL, ("COMMENTS_MAIL_SERVER", "smtp://x"))}, "only connect to port 443"),
    ],
)
def test_a_stage_that_cannot_notify_is_refused(
    monkeypatch: pytest.MonkeyPatch, notify: str, more: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(workload, "MAIL", Owned(service=Service.SES, name="example.com"))
    stage = replace(Stage(name="dev"), **more)  # type: ignore[arg-type]  # values have several types
    stage = replace(stage, settings=(*stage.settings, ("COMMENTS_NOTIFY", notify)))
    (problem,) = workload.problems(stage)
    assert message in problem
    if notify == "mail":
        monkeypatch.setattr(workload, "MAIL", None)
        assert "needs MAIL in infra/workload.py" in " ".join(workload.problems(stage))


@pytest.mark.parametrize("settings", [MAIL, (("COMMENTS_NOTIFY", "webhook"),), (("COMMENTS_NOTIFY", "mail"), *MAIL)])
def test_a_stage_that_can_notify_is_accepted(
    monkeypatch: pytest.MonkeyPatch, settings: tuple[tuple[str, str], ...]
) -> None:
    monkeypatch.setattr(workload, "MAIL", Owned(service=Service.SES, name="example.com"))
    assert list(workload.problems(Stage(name="dev", settings=settings))) == []
