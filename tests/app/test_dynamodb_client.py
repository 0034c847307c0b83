"""The client of DynamoDB against a server that misbehaves as networks and AWS do."""

import hashlib
import hmac
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from botocore.exceptions import BotoCoreError
from botocore.session import Session

from comments import create_app
from comments.errors import StoreError
from comments.models import NewComment
from comments.settings import Settings
from comments.store import dynamodb_client, dynamodb_wire, open_store
from comments.store.dynamodb import create_table
from comments.store.dynamodb_endpoint import Endpoint
from tests.app import faults
from tests.app.conftest import tables

NEW = NewComment(content_id=1, email="alice@example.com", comment="jo\u00e3o \U0001f600")
AWS_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")


@pytest.fixture
def server(dynamodb, monkeypatch):
    with faults.serving(dynamodb) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.url)
        yield server


@pytest.fixture
def store(server):
    name = f"client-{next(tables)}"
    create_table(name)
    server.requests.clear()
    opened = open_store(f"dynamodb://{name}")
    yield opened
    opened.close()


@pytest.fixture
def at_once(monkeypatch):
    """Do not wait between attempts."""
    monkeypatch.setattr(dynamodb_client.random, "uniform", lambda *_: 0)


def listed(store):
    return store.list_page(1, after=None, limit=100).comments


# ---- what passes is tried again ----


@pytest.mark.parametrize(
    "fault",
    [
        faults.refuse(400, "ProvisionedThroughputExceededException"),
        faults.refuse(400, "ThrottlingException"),
        faults.refuse(400, "RequestLimitExceeded"),
        faults.refuse(400, "TransactionConflictException"),
        faults.refuse(500, "InternalServerError"),
        faults.page,
        faults.reset,
        faults.lose,
        faults.cut,
        faults.damage,
    ],
)
def test_what_passes_is_tried_again(store, server, fault):
    added = store.add(NEW)
    server.requests.clear()
    server.script = [fault] * 3
    assert listed(store) == [added]
    assert server.operations().count("Query") >= 4


@pytest.mark.parametrize("code", ["TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"])
def test_a_transaction_that_meets_another_is_tried_again(store, server, code):
    server.script = [faults.cancelled(code)] * 3
    first = store.add(NEW, idempotency_key="k", held=True)
    server.script = [faults.cancelled(code)] * 3
    assert store.add(NEW, idempotency_key="k") == first
    server.script = [faults.well, *[faults.cancelled(code)] * 3]
    assert store.approve(1, first["id"])
    assert [comment["id"] for comment in listed(store)] == [first["id"]]
    assert server.script == []


@pytest.mark.parametrize(
    "fault",
    [
        faults.refuse(400, "ValidationException"),
        faults.refuse(400, "AccessDeniedException"),
        faults.refuse(400, "InvalidSignatureException"),
        faults.cancelled("ValidationError"),
    ],
)
def test_what_stays_is_not_tried_again(store, server, fault):
    server.always = fault
    with pytest.raises(StoreError, match="Exception"):
        store.add(NEW, idempotency_key="k")
    assert len(server.requests) == 1


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("fault", [faults.refuse(400, "ThrottlingException"), faults.reset, faults.damage])
def test_what_does_not_pass_is_a_store_that_cannot_answer(store, server, fault):
    server.always = fault
    with pytest.raises(StoreError):
        store.add(NEW)
    server.always = faults.well
    assert store.add(NEW) in listed(store)


@pytest.mark.usefixtures("at_once")
def test_an_outage_is_not_multiplied_by_retries(store, server, monkeypatch):
    monkeypatch.setattr(dynamodb_client, "RETRIES_A_SECOND", 0)
    server.always = faults.refuse(500, "InternalServerError")
    for _ in range(30):
        with pytest.raises(StoreError):
            store.ping()
    assert len(server.requests) == 30 + dynamodb_client.RETRIES
    monkeypatch.setattr(dynamodb_client, "RETRIES_A_SECOND", 1_000_000)
    server.script = [faults.refuse(500, "InternalServerError")] * 3
    server.always = faults.well
    store.ping()


# ---- an answer that was lost ----


@pytest.mark.parametrize("key", [None, "k"])
@pytest.mark.parametrize("is_held", [True, False])
def test_a_comment_whose_answer_was_lost_is_stored_once(store, server, key, is_held):
    server.script = [faults.lose, faults.lose]
    added = store.add(NEW, idempotency_key=key, held=is_held)
    assert [*listed(store), *store.held_page(after=None, limit=10).comments] == [added]


def test_a_moderator_whose_answer_was_lost_has_done_it(store, server):
    added = store.add(NEW, held=True)
    server.script = [faults.well, faults.lose]
    assert store.approve(1, added["id"])
    assert len(listed(store)) == 1
    server.script = [faults.well, faults.well, faults.lose]
    assert store.delete(1, added["id"])
    assert listed(store) == []


# ---- connections ----


def test_connections_are_kept(store, server):
    for _ in range(5):
        store.add(NEW)
    assert len({request.connection for request in server.requests}) == 1


def test_a_connection_that_was_closed_while_idle_costs_no_attempt(store, server, monkeypatch):
    monkeypatch.setattr(dynamodb_client, "ATTEMPTS", 1)
    server.always = faults.close_idle
    added = [store.add(NEW) for _ in range(5)]
    assert listed(store) == added


def test_threads_at_once_each_get_their_own_answer(store, server):
    def talk(number):
        added = store.add(replace(NEW, content_id=number, comment=f"number {number}"))
        return [store.list_page(number, after=None, limit=10).comments == [added] for _ in range(5)]

    server.script = [faults.reset, faults.well, faults.cut, faults.close_idle, faults.damage, faults.lose] * 5
    with ThreadPoolExecutor(8) as pool:
        answers = [right for each in pool.map(talk, range(1, 17)) for right in each]
    assert Counter(answers) == {True: 80}


@pytest.mark.parametrize("fault", [faults.hang, faults.trickle])
def test_an_answer_that_does_not_come_is_waited_for_a_bounded_time(store, server, monkeypatch, fault):
    store.ping()
    monkeypatch.setattr(dynamodb_client, "PATIENCE", 0.3)
    if fault is faults.hang:
        monkeypatch.setattr(dynamodb_wire, "READ_SECONDS", 0.1)
    server.always = fault
    client = create_app(Settings(), store).test_client()
    answer = client.get("/api/comment/list/1")
    assert (answer.status_code, answer.headers["Retry-After"], answer.json["status"]) == (503, "2", "UNAVAILABLE")
    assert client.get("/api/status").json["store"]["reason"] == "TimeoutError"
    server.always = faults.well
    monkeypatch.setattr(dynamodb_client, "PATIENCE", 30)
    assert client.get("/api/comment/list/1").status_code == 404


def test_once_nothing_is_answered_one_call_waits_and_the_others_fail_at_once(store, server, monkeypatch):
    """Each of the server's threads would otherwise wait, and /healthz with them."""
    store.ping()
    server.always = faults.hang
    monkeypatch.setattr(dynamodb_client, "PATIENCE", 0.1)
    with pytest.raises(StoreError, match="TimeoutError"):
        store.ping()
    monkeypatch.setattr(dynamodb_client, "PATIENCE", 30)
    monkeypatch.setattr(dynamodb_wire, "READ_SECONDS", 30)
    server.requests.clear()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(store.ping)
        while not server.requests:
            assert not waiting.done()
        for _ in range(8):
            with pytest.raises(StoreError, match="TimeoutError"):
                store.ping()
        assert len(server.requests) == 1
        server.go_on.set()
        assert waiting.result() is None
    store.ping()
    assert len(server.requests) == 2


def test_a_failure_among_answers_stops_no_other_call(store, server, monkeypatch):
    store.ping()
    monkeypatch.setattr(dynamodb_client, "ATTEMPTS", 1)
    for seconds in (0.5, 30):
        monkeypatch.setattr(dynamodb_wire, "READ_SECONDS", seconds)
        server.script = [faults.hang]
        server.requests.clear()
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(store.ping)
            while not server.requests:
                assert not waiting.done()
            store.ping()
            if seconds == 30:
                server.go_on.set()
            assert isinstance(waiting.exception(), StoreError if seconds < 30 else type(None))


# ---- signature and credentials ----


def signature(request, *, secret, region):
    """Compute Signature Version 4 from what arrived, as AWS documents it."""
    scheme, _, rest = request.headers["authorization"].partition(" ")
    parts = dict(part.split("=", 1) for part in rest.split(", "))
    day = request.headers["x-amz-date"][:8]
    scope = f"{day}/{region}/dynamodb/aws4_request"
    signed = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        ["POST", "/", "", *(f"{name}:{request.headers[name].strip()}" for name in signed), "", ";".join(signed)]
    )
    canonical += f"\n{hashlib.sha256(request.body).hexdigest()}"
    text = "\n".join([scheme, request.headers["x-amz-date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return parts, hmac.digest(key, text.encode(), "sha256").hex()


def test_every_request_is_signed_as_aws_documents_it(store, server):
    store.add(NEW, idempotency_key="k")
    listed(store)
    assert len(server.requests) == 2
    for request in server.requests:
        parts, expected = signature(request, secret="test", region="us-east-1")
        assert parts["Signature"] == expected
        assert {"host", "x-amz-date", "x-amz-target"} <= set(parts["SignedHeaders"].split(";"))
        sent = datetime.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)


@contextmanager
def agent(*, lifetime):
    """Hand out a task's credentials, new ones each time, as the agent on its machine does."""
    given = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            given.append(f"KEY{len(given) + 1}")
            self.send_response(200)
            self.end_headers()
            expiration = (datetime.now(UTC) + lifetime).strftime("%Y-%m-%dT%H:%M:%SZ")
            answer = {"AccessKeyId": given[-1], "SecretAccessKey": "s", "Token": f"of {given[-1]}"}
            self.wfile.write(json.dumps(answer | {"Expiration": expiration, "RoleArn": "role"}).encode())

        def log_message(self, *arguments):
            """Stay quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/credentials", given
        server.shutdown()


@pytest.fixture
def role(store, monkeypatch):  # noqa: ARG001  # whose table is made before
    """Let credentials come from a task's role."""
    for name in AWS_VARIABLES[:2]:
        monkeypatch.delenv(name)

    @contextmanager
    def given(*, lifetime):
        with agent(lifetime=lifetime) as (address, keys):
            monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)
            yield keys

    return given


def test_a_role_signs_with_its_token(store, server, role):
    with role(lifetime=timedelta(hours=6)) as keys:
        store.ping()
        store.ping()
        assert keys == ["KEY1"]
        for request in server.requests:
            assert request.headers["x-amz-security-token"] == "of KEY1"
            parts, expected = signature(request, secret="s", region="us-east-1")
            assert parts["Signature"] == expected
            assert "x-amz-security-token" in parts["SignedHeaders"]


def test_credentials_are_renewed_before_they_expire(store, server, role):
    with role(lifetime=timedelta(minutes=5)) as keys:
        store.ping()
        store.ping()
        assert len(keys) > 1
        assert server.requests[-1].headers["x-amz-security-token"] == f"of {keys[-1]}"


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException"])
def test_credentials_that_are_refused_are_looked_up_again(store, server, role, monkeypatch, code):
    with role(lifetime=timedelta(hours=6)):
        store.ping()
        monkeypatch.setattr(dynamodb_client, "RENEWED_AFTER", 0.0)
        server.script = [faults.refuse(400, code)]
        store.ping()
        assert [request.headers["x-amz-security-token"] for request in server.requests] == [
            "of KEY1", "of KEY1", "of KEY2",
        ]  # fmt: skip


def test_credentials_that_stay_refused_are_not_asked_for_with_every_request(store, server, role):
    server.always = faults.refuse(400, "ExpiredTokenException")
    with role(lifetime=timedelta(hours=6)) as keys:
        for _ in range(5):
            with pytest.raises(StoreError, match="ExpiredTokenException"):
                store.ping()
        assert (keys, len(server.requests)) == (["KEY1"], 5)


@pytest.mark.parametrize("missing", ["credentials", "region"])
def test_what_is_missing_is_told_and_found_as_soon_as_it_is_there(store, monkeypatch, tmp_path, missing):
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    names = AWS_VARIABLES[:2] if missing == "credentials" else AWS_VARIABLES[2:]
    before = {name: os.environ[name] for name in names}
    for name in names:
        monkeypatch.delenv(name)
    client = create_app(Settings(), store).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/comment/list/1").status_code == 503
    reason = client.get("/api/status").json["store"]["reason"]
    assert reason == {"credentials": "NoCredentialsError", "region": "NoRegionError"}[missing]
    for name, value in before.items():
        monkeypatch.setenv(name, value)
    assert client.get("/api/comment/list/1").status_code == 404


# ---- the endpoint ----


def test_the_endpoint_may_stand_in_the_shared_configuration(store, server, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ENDPOINT_URL_DYNAMODB")
    for name in AWS_VARIABLES:
        monkeypatch.delenv(name)
    shared = tmp_path / "config"
    shared.write_text(
        f"[profile here]\nregion = eu-west-1\nservices = here\n"
        f"aws_access_key_id = KEY\naws_secret_access_key = kept in a file\n"
        f"[services here]\ndynamodb =\n  endpoint_url = {server.url}/\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(shared))
    monkeypatch.setenv("AWS_PROFILE", "here")
    server.always = faults.refuse(400, "ValidationException")
    with pytest.raises(StoreError, match="ValidationException"):
        store.ping()
    parts, expected = signature(server.requests[0], secret="kept in a file", region="eu-west-1")
    assert parts["Signature"] == expected


@pytest.mark.parametrize(
    ("variables", "host"),
    [
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "dynamodb.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "eu-west-1"}, "dynamodb.eu-west-1.amazonaws.com"),
        ({"AWS_REGION": "cn-north-1"}, "dynamodb.cn-north-1.amazonaws.com.cn"),
        ({"AWS_REGION": "us-east-1", "AWS_USE_FIPS_ENDPOINT": "true"}, "dynamodb-fips.us-east-1.amazonaws.com"),
        ({"AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "https://dynamodb.example"}, "dynamodb.example"),
    ],
)
def test_the_endpoint_is_the_regions_and_is_reached_through_a_proxy(store, monkeypatch, variables, host):
    """Nothing is sent to AWS: the proxy refuses to go there."""
    asked = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self):
            asked.append((self.path, self.headers["Proxy-Authorization"]))
            self.send_error(403)

        def log_message(self, *arguments):
            """Stay quiet."""

    for name in (*AWS_VARIABLES[2:], "AWS_ENDPOINT_URL_DYNAMODB", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(dynamodb_client, "ATTEMPTS", 1)
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://user:word@127.0.0.1:{server.server_address[1]}")
        with pytest.raises(StoreError, match="403"):
            store.ping()
        server.shutdown()
    assert asked == [(f"{host}:443", "Basic dXNlcjp3b3Jk")]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"AWS_REGION": "ap-south-2"},
        {"AWS_REGION": "us-gov-west-1", "AWS_USE_FIPS_ENDPOINT": "true"},
        {"AWS_USE_DUALSTACK_ENDPOINT": "true"},
        {"AWS_REGION": "local"},
        {"AWS_REGION": "not a region"},
        {"AWS_ENDPOINT_URL": "https://all.example/path"},
        {"AWS_ENDPOINT_URL": "https://all.example", "AWS_ENDPOINT_URL_DYNAMODB": "http://one.example:8000"},
        {"AWS_ENDPOINT_URL": "https://all.example", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"},
        {"AWS_ENDPOINT_URL": "https://all.example", "AWS_USE_FIPS_ENDPOINT": "true"},
    ],
    ids=lambda variables: " ".join(f"{name}={value}" for name, value in variables.items()) or "nothing",
)
def test_the_endpoint_is_the_one_that_botocore_would_ask(monkeypatch, variables):
    variables = dict(zip(AWS_VARIABLES, ("key", "secret", "eu-west-1"), strict=False)) | variables
    for name in (*AWS_VARIABLES, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    class Asked(Exception):
        pass

    def give_up(request, **_):
        raise Asked(request.url)

    def botocore():
        client = Session().create_client("dynamodb", variables["AWS_REGION"])
        client.meta.events.register("before-send", give_up)
        client.list_tables()

    def ours():
        raise Asked(Endpoint().url)

    asked = []
    for who in (botocore, ours):
        with pytest.raises((Asked, BotoCoreError)) as caught:
            who()
        asked.append((caught.type, str(caught.value).rstrip("/")))
    assert asked[0] == asked[1]


def test_an_endpoint_that_is_no_address_is_named(store, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "localhost:8000")
    with pytest.raises(StoreError, match="localhost:8000"):
        store.ping()
