"""Settings from the environment, and the errors that name a wrong variable."""

import re

import pytest

from comments.config import ConfigError, Settings, load_settings, unknown_variables
from tests.app.support import TOKEN


def test_by_default_comments_are_stored_beside_the_code_and_everything_else_is_off() -> None:
    values = load_settings().model_dump()
    assert values.pop("store").endswith("/app/data/comments.db")
    assert values.pop("emails") == "show"
    assert values.pop("moderator_token").get_secret_value() == ""
    assert not any(values.values())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("STORE", "postgres://x", "must be sqlite:///PATH or dynamodb://TABLE"),
        ("STORE", "dynamodb://", "dynamodb://TABLE"),
        ("STORE", "dynamodb://c", "dynamodb://TABLE"),
        ("TRUSTED_PROXIES", "one", "must be a valid integer"),
        ("METRICS", "AWS/ECS", "must be a CloudWatch namespace"),
        ("MODERATOR_TOKEN", "short", "at least 16 visible ASCII characters"),
        ("MODERATOR_TOKEN", TOKEN + "\n", "at least 16 visible ASCII characters"),
        ("MODERATOR_TOKEN", "an=equals" * 2, "= only at its end"),
        ("MODERATION", "on", "is no longer a setting; for `on`, set COMMENTS_HOLD=all instead"),
        ("HOLD", "links,some", "must be 'all', 'links', 'words' or 'newcomers'"),
        ("HOLD", "all", "needs COMMENTS_MODERATOR_TOKEN"),
        ("HOLD_WORDS", "casino", "and words in COMMENTS_HOLD need each other"),
        ("EMAILS", "Mask", "must be 'show', 'mask' or 'hide'"),
        ("POST_LIMIT", "0/minute", "minute, hour or day: 10/minute"),
        ("POST_LIMIT", "10/minute;1/second", "minute, hour or day: 10/minute"),
        ("CORS_ORIGINS", "https://a.example/", "without a final /"),
        ("CORS_ORIGINS", "https://a.example:443", "default port"),
        ("CORS_ORIGINS", "https://a.example *", "invalid origin '*'"),
        ("CORS_ORIGINS", "https://*.example", "invalid origin 'https://*.example'"),
        ("STATUS_THREAD", "7", "needs COMMENTS_MODERATOR_TOKEN"),
        ("NOTIFY", "webhook", "has webhook, which needs COMMENTS_WEBHOOK_URL"),
        ("NOTIFY", "mail", "has mail, which needs COMMENTS_MAIL_SERVER"),
        ("NOTIFY", "slack", "must be 'webhook' or 'mail'"),
        ("URL", "comments.example.com", "must be the public URL of the service"),
        ("WEBHOOK_URL", "https://user@example.com/", "must be an http(s) URL, without a user name"),
        ("WEBHOOK_URL", "https://example.com/hook", "needs COMMENTS_NOTIFY=webhook"),
        ("WEBHOOK_KEY", "whsec_c2hvcnQ=", "24 to 64 bytes in base64"),
        ("MAIL_SERVER", "smtp.example.com", "must be ses:, smtp://HOST or smtps://HOST"),
        ("MAIL_SERVER", "smtp://ann:p%C3%A4ss@example.com", "USER:PASSWORD@ (percent-encoded ASCII)"),
        ("MAIL_FROM", "Comments <a@example.com>", "must be an email address"),
        ("MAIL_TO", "a@example.com bob", "has the invalid address 'bob'"),
    ],
)
def test_an_invalid_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, message: str) -> None:
    monkeypatch.setenv(f"COMMENTS_{name}", value)
    with pytest.raises(ConfigError, match=f"^COMMENTS_{name} .*{re.escape(message)}"):
        load_settings()


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    default = load_settings()
    for name in Settings.model_fields:
        monkeypatch.setenv(f"COMMENTS_{name.upper()}", "")
    assert load_settings() == default


def test_all_invalid_variables_are_named_at_once() -> None:
    with pytest.raises(ConfigError, match=r"COMMENTS_METRICS .*; COMMENTS_EMAILS "):
        load_settings(emails="x", metrics="AWS/ECS")


@pytest.mark.parametrize("value", [TOKEN + " ", TOKEN[:15]])
def test_the_moderator_token_is_never_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("COMMENTS_MODERATOR_TOKEN", TOKEN)
    assert TOKEN not in repr(load_settings())
    monkeypatch.setenv("COMMENTS_MODERATOR_TOKEN", value)
    with pytest.raises(ConfigError) as error:
        load_settings()
    assert value.strip() not in str(error.value)


def test_an_unknown_variable_is_a_warning_with_a_suggestion() -> None:
    """Kubernetes sets COMMENTS_PORT and others for a Service called "comments"."""
    environ = {"COMMENTS_STROE": "x", "COMMENTS_PORT": "tcp://10.0.0.1:80", "COMMENTS_STORE": "x", "OTHER": "x"}
    assert unknown_variables(environ) == [
        "COMMENTS_STROE is not a setting; did you mean COMMENTS_STORE?",
        "COMMENTS_PORT is not a setting",
    ]
