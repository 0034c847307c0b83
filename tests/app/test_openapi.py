"""The OpenAPI document describes every route, and nothing that the settings switch off.

test_schemathesis.py shows that the service behaves as described.
"""

import re
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
WITH_EACH_SETTING = pytest.mark.parametrize("settings", [Settings(), EVERYTHING], ids=["default", "everything"])


def document_of(store: CommentStore, settings: Settings) -> Any:
    response = create_app(settings, store).test_client().get("/openapi.json")
    assert response.content_type == "application/json"
    return response.get_json()


@WITH_EACH_SETTING
def test_the_document_is_valid_openapi_3_1(sqlite: CommentStore, settings: Settings) -> None:
    document = document_of(sqlite, settings)
    assert document["openapi"].startswith("3.1.")
    OPENAPI_31_VALIDATOR.validate(document)
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})
    for reference in re.findall(r"'\$ref': '#/([^']+)'", str(document)):
        found = document
        for part in reference.split("/"):
            found = found[part]


@WITH_EACH_SETTING
def test_every_api_route_is_described_and_nothing_else(sqlite: CommentStore, settings: Settings) -> None:
    app = create_app(settings, sqlite)
    routes = {
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/healthz"))
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    described = app.test_client().get("/openapi.json").get_json()["paths"]
    assert {(method.upper(), path) for path, methods in described.items() for method in methods} == routes
    assert ("GET", "/healthz") in routes
    assert ("DELETE" in {method for method, _ in routes}) == (settings is EVERYTHING)


def test_responses_that_the_settings_rule_out_are_not_described(sqlite: CommentStore) -> None:
    optional = {"202", "401", "429"}
    for settings, expected in ((Settings(), set()), (EVERYTHING, optional)):
        responses = document_of(sqlite, settings)["paths"]["/api/comment/new"]["post"]["responses"]
        assert optional & responses.keys() == expected


def test_moderator_routes_require_the_token(sqlite: CommentStore) -> None:
    document = document_of(sqlite, EVERYTHING)
    assert document["components"]["securitySchemes"]["moderator"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        expected: Any = [{"moderator": []}] if path.startswith("/api/moderation/") else None
        if path == "/api/comment/new":
            expected = [{}, {"moderator": []}]  # optional: the moderator's own comments are published immediately
        for operation in methods.values():
            assert operation.get("security") == expected
