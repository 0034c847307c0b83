"""What can be set from outside, and how a wrong setting is told."""

import pytest

from comments.settings import Settings, SettingsError

TOKEN = "a-token-that-nobody-guesses"


def test_without_any_variable_comments_are_kept_beside_the_code():
    settings = Settings.from_environment({"PATH": "/bin"})
    assert settings.store.startswith("sqlite:////")
    assert settings.store.endswith("/app/data/comments.db")
    assert settings == Settings()
    assert settings.trusted_proxies == 0
    assert settings.metrics == ""
    assert settings.moderator_token == ""
    assert settings.moderation is False
    assert settings.emails == "show"
    assert settings.post_limit == ""
    assert settings.cors_origins == ()
    assert settings.cpu_affinity is False


def test_every_variable_is_read():
    settings = Settings.from_environment(
        {
            "COMMENTS_STORE": "dynamodb://comments-dev",
            "COMMENTS_TRUSTED_PROXIES": "1",
            "COMMENTS_METRICS": "comments/dev",
            "COMMENTS_MODERATOR_TOKEN": TOKEN,
            "COMMENTS_MODERATION": "on",
            "COMMENTS_EMAILS": "mask",
            "COMMENTS_POST_LIMIT": "10/minute",
            "COMMENTS_CORS_ORIGINS": "https://a.example, http://localhost:8080",
            "COMMENTS_STATUS_THREAD": "7",
            "COMMENTS_COMMIT": "2763b140a0b9",
            "COMMENTS_CPU_AFFINITY": "on",
        }
    )
    assert settings == Settings(
        store="dynamodb://comments-dev",
        trusted_proxies=1,
        metrics="comments/dev",
        moderator_token=TOKEN,
        moderation=True,
        emails="mask",
        post_limit="10/minute",
        cors_origins=("https://a.example", "http://localhost:8080"),
        status_thread=7,
        commit="2763b140a0b9",
        cpu_affinity=True,
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("COMMENTS_STORE", "", "must be sqlite:///PATH or dynamodb://TABLE"),
        ("COMMENTS_STORE", "comments.db", "must be sqlite:///PATH or dynamodb://TABLE"),
        ("COMMENTS_STORE", "postgres://x", "must be sqlite:///PATH or dynamodb://TABLE"),
        ("COMMENTS_STORE", "sqlite://comments.db", "three slashes"),
        ("COMMENTS_STORE", "sqlite:///", "names no file"),
        ("COMMENTS_STORE", "dynamodb://", "names no table"),
        ("COMMENTS_TRUSTED_PROXIES", "one", "must be a number from 0 to 99"),
        ("COMMENTS_TRUSTED_PROXIES", "-1", "must be a number from 0 to 99"),
        ("COMMENTS_TRUSTED_PROXIES", "", "must be a number from 0 to 99"),
        ("COMMENTS_METRICS", "AWS/ECS", "must be a CloudWatch namespace"),
        ("COMMENTS_METRICS", "a b", "must be a CloudWatch namespace"),
        ("COMMENTS_MODERATOR_TOKEN", "", "at least 16 visible ASCII characters"),
        ("COMMENTS_MODERATOR_TOKEN", "short", "at least 16 visible ASCII characters"),
        ("COMMENTS_MODERATOR_TOKEN", TOKEN + "\n", "at least 16 visible ASCII characters"),
        ("COMMENTS_MODERATOR_TOKEN", "\u00fc" * 20, "at least 16 visible ASCII characters"),
        ("COMMENTS_MODERATION", "on", "set COMMENTS_MODERATOR_TOKEN"),
        ("COMMENTS_MODERATION", "yes", "must be off or on"),
        ("COMMENTS_CPU_AFFINITY", "1", "must be off or on"),
        ("COMMENTS_EMAILS", "Mask", "must be show or mask or hide"),
        ("COMMENTS_POST_LIMIT", "10", "such as 10/minute"),
        ("COMMENTS_POST_LIMIT", "0/minute", "such as 10/minute"),
        ("COMMENTS_POST_LIMIT", "10/minute;1/second", "such as 10/minute"),
        ("COMMENTS_CORS_ORIGINS", "https://a.example/", "without a path"),
        ("COMMENTS_CORS_ORIGINS", "a.example", "is no origin"),
        ("COMMENTS_CORS_ORIGINS", "https://a.example *", "is no origin"),
        ("COMMENTS_CORS_ORIGINS", "https://*.example", "is no origin"),
        ("COMMENTS_CORS_ORIGINS", "null", "is no origin"),
        ("COMMENTS_STATUS_THREAD", "0", "must be a content_id"),
        ("COMMENTS_STATUS_THREAD", "9007199254740992", "must be a content_id"),
        ("COMMENTS_COMMIT", "a b", "must be a commit"),
        ("COMMENTS_STROE", "x", "did you mean COMMENTS_STORE?"),
        ("COMMENTS_", "x", "is not a setting"),
    ],
)
def test_a_wrong_variable_is_named(name, value, said):
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({name: value})
    assert str(refused.value).startswith(f"{name} ")
    assert said in str(refused.value)


def test_the_moderators_token_is_shown_nowhere():
    settings = Settings(moderator_token=TOKEN)
    assert TOKEN not in f"{settings} {settings!r}"
    for value in (TOKEN + " ", TOKEN[:15]):
        with pytest.raises(SettingsError) as refused:
            Settings.from_environment({"COMMENTS_MODERATOR_TOKEN": value})
        assert value.strip() not in str(refused.value)
