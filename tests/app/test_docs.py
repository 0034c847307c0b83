"""The API's description holds every route, and is readable by programs and people."""

import re
import socket

import jsonschema_rs
import pytest

from comments import create_app
from comments.settings import Settings

TOKEN = "a-token-that-nobody-guesses"
EVERYTHING = Settings(moderator_token=TOKEN, moderation=True, post_limit="10/minute", status_thread=7)


def app_of(tmp_path, settings):
    from comments.store import open_store

    return create_app(settings, open_store(f"sqlite:///{tmp_path}/comments.db"))


@pytest.mark.parametrize("settings", [Settings(), EVERYTHING], ids=["default", "everything"])
def test_every_route_is_described_and_nothing_else(tmp_path, settings):
    app = app_of(tmp_path, settings)
    routes = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule).replace("{comment_id}", "{id}")
        routes |= {(method, path) for method in rule.methods - {"HEAD"}}
    described = app.test_client().get("/openapi.json").get_json()["paths"]
    assert routes == {(method.upper(), path) for path, methods in described.items() for method in methods}


def test_the_document_is_openapi_3_1_and_complete_in_itself(tmp_path):
    answer = app_of(tmp_path, EVERYTHING).test_client().get("/openapi.json")
    assert answer.content_type == "application/json"
    document = answer.get_json()
    assert document["openapi"] == "3.1.0"
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', answer.text):
        found = document
        for part in reference.split("/"):
            found = found[part]
        assert found
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_what_the_server_refuses_before_it_looks_at_the_route_is_described(tmp_path, serve):
    server = serve()
    described = app_of(tmp_path, EVERYTHING).test_client().get("/openapi.json").get_json()["paths"]
    for head in (
        b"BAD",
        b"GET /" + b"a" * 5000,
        b"GET / HTTP/1.1\r\nHost: x\r\nExpect: x",
        b"GET / HTTP/1.1\r\nX: " + b"a" * 9000,
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x",
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            connection.sendall(head + b"\r\n\r\n")
            code = connection.recv(65536).split()[1].decode()
        for methods in described.values():
            for operation in methods.values():
                assert code in operation["responses"], head[:60]


def test_a_setting_that_is_off_is_not_described(tmp_path):
    described = app_of(tmp_path, Settings()).test_client().get("/openapi.json").get_json()["paths"]
    assert set(described["/api/comment/new"]["post"]["responses"]) & {"202", "401", "429"} == set()
    described = app_of(tmp_path, EVERYTHING).test_client().get("/openapi.json").get_json()["paths"]
    assert {"202", "401", "429"} <= set(described["/api/comment/new"]["post"]["responses"])


def test_the_page_names_every_operation_and_runs_nothing(tmp_path):
    client = app_of(tmp_path, EVERYTHING).test_client()
    answer = client.get("/docs")
    assert answer.content_type == "text/html; charset=utf-8"
    for path in client.get("/openapi.json").get_json()["paths"]:
        assert path in answer.text
    assert "<script" not in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def test_what_has_not_changed_is_not_sent_again(tmp_path):
    client = app_of(tmp_path, Settings()).test_client()
    for path in ("/openapi.json", "/docs"):
        tag = client.get(path).headers["ETag"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data) == (304, b"")
