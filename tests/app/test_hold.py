"""COMMENTS_HOLD: which comments and edits await approval. test_moderation.py has what happens to them."""

import pytest
from flask.testing import FlaskClient

from comments.stores import CommentStore
from tests.app.support import AUTH, TOKEN, client_of, post

MINE, OTHER = ({"Author-Token": letter * 22} for letter in "mo")


def held(client: FlaskClient, text: str = "hello", headers: dict[str, str] | None = None, name: str = "Bob") -> bool:
    """Post a comment; return whether it awaits approval."""
    status = post(client, headers, comment=text, name=name).status_code
    assert status in {200, 202}
    return status == 202


@pytest.mark.parametrize(
    ("rules", "text", "name", "expected"),
    [
        ("", "https://example.com casino", "Bob", False),
        ("all", "hello", "Bob", True),
        ("links", "see HTTPS://example.com", "Bob", True),
        ("links", "see www.example.com", "Bob", True),
        ("links", "http is a protocol, awww.", "Bob", False),
        ("links", "hello", "https://example.com", True),
        ("words", "the Casino!", "Bob", True),
        ("words", "casinos", "Bob", False),
        ("words", "hello", "Casino Bob", True),
        ("words", "Buy\n now", "Bob", True),
        ("words", "Buy it now", "Bob", False),
        ("words", "100% c++", "Bob", True),
        ("words, links", "www.example.com", "Bob", True),
        ("words links", "a casino", "Bob", True),
        ("words links", "hello", "Bob", False),
    ],
)
def test_a_comment_that_a_rule_matches_awaits_approval(
    sqlite: CommentStore, monkeypatch: pytest.MonkeyPatch, rules: str, text: str, name: str, *, expected: bool
) -> None:
    monkeypatch.setenv("COMMENTS_HOLD", rules)
    if "words" in rules:
        monkeypatch.setenv("COMMENTS_HOLD_WORDS", "casino, , buy now,c++")
    client = client_of(sqlite, moderator_token=TOKEN)
    assert held(client, text, name=name) == expected
    assert not held(client, text, AUTH, name=name)


def test_newcomers_are_trusted_after_an_approval_until_a_moderator_deletes_a_comment(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN, hold="newcomers")
    first = post(client, MINE).get_json()
    assert first["held"]
    assert held(client, headers=MINE)
    assert client.post(f"/api/moderation/1/{first['id']}/approve", headers=AUTH).status_code == 200
    trusted = post(client, MINE).get_json()
    assert "held" not in trusted
    assert held(client, headers=OTHER)
    assert held(client)  # without a token, everyone is a newcomer
    path = f"/api/comment/1/{trusted['id']}"
    assert client.patch(path, json={"comment": "edited"}, headers=MINE).status_code == 200
    own = post(client, MINE).get_json()
    assert client.delete(f"/api/comment/1/{own['id']}", headers=MINE).status_code == 200
    assert not held(client, headers=MINE)
    deleted = post(client, MINE).get_json()
    assert client.delete(f"/api/moderation/1/{deleted['id']}", headers=AUTH).status_code == 200
    assert held(client, headers=MINE)
    assert client.patch(path, json={"comment": "edited again"}, headers=MINE).status_code == 409


def test_an_edit_that_a_rule_matches_changes_nothing(store: CommentStore) -> None:
    client = client_of(store, moderator_token=TOKEN, hold=["links"])
    published = post(client, MINE).get_json()
    path = f"/api/comment/1/{published['id']}"
    refused = client.patch(path, json={"comment": "https://example.com"}, headers=MINE)
    assert (refused.status_code, refused.get_json()["errors"][0]["field"]) == (409, "comment")
    assert client.get(path).get_json()["comment"] == published["comment"]
    assert client.patch(path, json={"comment": "no link"}, headers=MINE).get_json()["comment"] == "no link"
    pending = post(client, MINE, comment="https://example.com").get_json()
    edited = client.patch(
        f"/api/comment/1/{pending['id']}", json={"comment": "https://example.com/2"}, headers=MINE
    ).get_json()
    assert (edited["comment"], edited["held"]) == ("https://example.com/2", True)
