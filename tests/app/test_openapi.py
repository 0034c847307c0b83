"""The OpenAPI document describes every route, and nothing that the settings switch off.

test_schemathesis.py shows that the service behaves as described.
"""

import re
from functools import reduce
from operator import getitem
from typing import Any

import jsonschema_rs
import pytest
from pydantic import SecretStr
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from comments.app import create_app
from comments.config import Settings
from comments.stores import CommentStore
from tests.app.conftest import TOKEN

EVERYTHING = Settings(moderator_token=SecretStr(TOKEN), moderation=True, post_limit="10/minute", status_thread=7)


@pytest.mark.parametrize("settings", [Settings(), EVERYTHING], ids=["default", "everything"])
def test_the_document_is_valid_and_describes_every_route_and_nothing_else(
    sqlite: CommentStore, settings: Settings
) -> None:
    app = create_app(settings, sqlite)
    response = app.test_client().get("/openapi.json")
    assert response.content_type == "application/json"
    document: Any = response.get_json()
    assert document["openapi"].startswith("3.1.")
    OPENAPI_31_VALIDATOR.validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
        reduce(getitem, reference.split("/"), document)

    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/healthz"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == routes
    assert ("GET", "/healthz") in routes
    assert ("DELETE" in {method for method, _ in routes}) == (settings is EVERYTHING)
    unmodified = document["paths"]["/api/comment/list/{content_id}"]["get"]["responses"]["304"]
    assert unmodified["headers"].keys() == {"X-Request-Id", "Link", "ETag"}
    assert not unmodified["content"]
    optional = {"202", "401", "429"}
    responses = document["paths"]["/api/comment/new"]["post"]["responses"]
    assert optional & responses.keys() == (optional if settings is EVERYTHING else set())


def test_moderator_routes_require_the_token(sqlite: CommentStore) -> None:
    document = create_app(EVERYTHING, sqlite).test_client().get("/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["moderator"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        expected: Any = [{"moderator": []}] if path.startswith("/api/moderation/") else None
        if path == "/api/comment/new":
            expected = [{}, {"moderator": []}]  # optional: the moderator's own comments are published immediately
        for operation in methods.values():
            assert operation.get("security") == expected
