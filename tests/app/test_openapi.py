"""The OpenAPI document describes every route, and nothing that the settings switch off.

test_schemathesis.py shows that the service behaves as described.
"""

import re
from typing import Any

import pytest
from pydantic import SecretStr
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from comments.app import create_app
from comments.comment import NewComment
from comments.config import Settings
from comments.http.openapi import DIFFERENT_FOR_MODERATORS
from comments.http.schemas import CommentOut
from comments.stores import CommentStore
from tests.app.support import ROOT, TOKEN

EVERYTHING = Settings(moderator_token=SecretStr(TOKEN), hold=("all",), post_limit="10/minute", status_thread=7)


@pytest.mark.parametrize("settings", [Settings(), EVERYTHING], ids=["default", "everything"])
def test_the_document_is_valid_and_describes_every_route_and_nothing_else(
    sqlite: CommentStore, settings: Settings
) -> None:
    app = create_app(settings, sqlite)
    document: Any = app.test_client().get("/openapi.json").get_json()
    OPENAPI_31_VALIDATOR.validate(document)
    routes = {
        (method, re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/healthz"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert described.keys() == routes
    everything = settings is EVERYTHING
    assert any("/moderation/" in path for _, path in routes) == everything
    create = described["POST", "/api/comment/new"]
    assert {"202", "429"} & create["responses"].keys() == ({"202", "429"} if everything else set())
    for (_, path), operation in described.items():
        assert operation.get("operationId"), f"{path}: add @api.doc(operation_id=…)"
        # A wrong token is rejected on every route.
        assert "401" in operation["responses"], f"{path}: add @api.doc(responses=responses(…))"
        expected: Any = [{"moderator": []}] if "/moderation/" in path else None
        if everything and operation["operationId"] in DIFFERENT_FOR_MODERATORS:
            expected = [{}, {"moderator": []}]  # for example, the moderator sees all addresses in lists
        assert operation.get("security") == expected


def test_every_route_and_field_is_documented_and_no_other(sqlite: CommentStore) -> None:
    document: Any = create_app(EVERYTHING, sqlite).test_client().get("/openapi.json").get_json()
    routes = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    text = (ROOT / "docs/api.md").read_text()
    rows = re.findall(r"^\| `([A-Z]+) ([^?`]+)[^`]*` \|", text, re.MULTILINE)
    names = {"<content_id>": "{content_id}", "<id>": "{comment_id}"}
    documented = {(method, re.sub("<[a-z_]+>", lambda name: names[name[0]], path)) for method, path in rows}
    assert documented ^ routes == set(), "differs between the service and docs/api.md"
    fields = text.partition("\n## Comments\n")[2].partition("\n## ")[0]
    posted = set(re.findall(r"^\| `([a-z_]+)` \|", fields, re.MULTILINE))
    assert posted ^ NewComment.model_fields.keys() == set(), "differs between NewComment and docs/api.md"
    returned = set(re.findall(r"`([a-z_]+)(?:: true)?`", fields))
    assert CommentOut.model_fields.keys() - returned == set(), "missing in docs/api.md"
