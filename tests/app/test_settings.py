"""What can be set from outside, and how a wrong setting is told."""

import pytest

from comments.settings import Settings, SettingsError


def test_without_any_variable_comments_are_kept_beside_the_code():
    settings = Settings.from_environment({"PATH": "/bin"})
    assert settings.store.startswith("sqlite:////")
    assert settings.store.endswith("/app/data/comments.db")
    assert settings.trusted_proxies == 0


def test_every_variable_is_read():
    settings = Settings.from_environment({"COMMENTS_STORE": "dynamodb://comments-dev", "COMMENTS_TRUSTED_PROXIES": "1"})
    assert settings == Settings(store="dynamodb://comments-dev", trusted_proxies=1)


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
        ("COMMENTS_STROE", "x", "did you mean COMMENTS_STORE?"),
        ("COMMENTS_", "x", "is not a setting"),
    ],
)
def test_a_wrong_variable_is_named(name, value, said):
    with pytest.raises(SettingsError) as refused:
        Settings.from_environment({name: value})
    assert str(refused.value).startswith(f"{name} ")
    assert said in str(refused.value)
