"""Notifications: what stores put into the outbox, and what arrives at a webhook and by email, whatever fails."""

import base64
import os
import signal
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread
from typing import Any
from unittest.mock import Mock, patch

import boto3
import pytest
import standardwebhooks
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope

from comments.app import create_app
from comments.comment import NewComment
from comments.config import Settings, load_settings
from comments.errors import StoreError
from comments.fields import MAX_COMMENT
from comments.notifications import outbox
from comments.stores import CommentStore, open_store
from comments.stores.base import CREATED, EDITED
from tests.app.support import UNKNOWN, Log, Serve, free_port, wait_until
from tests.app.test_stores import ONCE, add_comment
from tests.client import ask

TARGETS = ("webhook", "mail")


def listed(store: CommentStore, target: str = "webhook") -> list[tuple[str, str]]:
    return [(each.event, each.comment_id) for each in store.list_outbox(target, limit=100)]


# The outbox of a store


def test_new_pending_and_edited_comments_notify_each_target(store: CommentStore) -> None:
    add_comment(store, "before there were targets")
    store.targets = TARGETS
    first, pending = add_comment(store, "first"), add_comment(store, "pending", held=True)
    once = store.add(ONCE, key="k")
    assert store.add(ONCE, key="k") == once
    assert store.edit(1, first["id"], "edited", "2026-12-01T00:00:00.000Z")
    assert not store.edit(1, UNKNOWN, "no such comment", "2026-12-01T00:00:00.000Z")
    expected = [(CREATED, first["id"]), (CREATED, pending["id"]), (CREATED, once["id"]), (EDITED, first["id"])]
    assert [listed(store, target) for target in TARGETS] == [expected] * 2
    ids = {each.id for target in TARGETS for each in store.list_outbox(target, limit=100)}
    assert len(ids) == 8
    # Approved and imported comments, and deletions, notify no one.
    assert store.approve(1, pending["id"])
    assert store.delete(1, once["id"])
    store.restore([once])
    oldest = store.list_outbox("mail", limit=1)[0]
    store.remove_from_outbox("mail", oldest.id)
    store.remove_from_outbox("mail", oldest.id)
    assert [listed(store, target) for target in TARGETS] == [expected, expected[1:]]


# Targets


@dataclass
class Receiver:
    """A webhook that responds as told, and remembers what it accepted."""

    url: str
    respond: Callable[[int], int] = lambda _: 204
    """The status of the response to each request, by its number."""
    requests: list[str] = field(default_factory=list)
    accepted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def comments(self) -> list[str]:
        return [each["data"]["comment"] for each in self.accepted]


KEY = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            content = standardwebhooks.Webhook(KEY).verify(body, dict(self.headers))
            received.requests.append(self.path)
            status = received.respond(len(received.requests))
            if status < 300:
                received.accepted.append(content)
            with suppress(ConnectionError):
                self.send_response(status)
                self.send_header("Location", f"{received.url}/elsewhere")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Receiver(f"http://127.0.0.1:{server.server_port}/hook?token=secret")
        Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield received
        server.shutdown()


class Clock:
    """A clock that only tests advance."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("comments.notifications.outbox.time", Mock(wraps=time, monotonic=clock))
    return clock


WEBHOOK = {"NOTIFY": "webhook", "WEBHOOK_KEY": KEY, "URL": "https://comments.example.com/base/"}


def webhook_settings(receiver: Receiver) -> Settings:
    return load_settings(**{name.lower(): value for name, value in WEBHOOK.items()}, webhook_url=receiver.url)


def variables_for(receiver: Receiver, store_url: str) -> dict[str, str]:
    variables = {f"COMMENTS_{name}": value for name, value in WEBHOOK.items()}
    return variables | {"COMMENTS_WEBHOOK_URL": receiver.url, "COMMENTS_STORE": store_url}


def deliverer(store: CommentStore, settings: Settings) -> outbox.Deliverer:
    store.targets = settings.notify
    return outbox.Deliverer(settings, store)


# Webhooks


def test_a_webhook_gets_a_signed_message_that_slack_shows_as_it_is(sqlite: CommentStore, receiver: Receiver) -> None:
    delivery = deliverer(sqlite, webhook_settings(receiver))
    new = NewComment(name="<Eve>", email="eve@example.com", comment="a & b <!channel>", page="/x")
    comment = sqlite.add(new, held=True)
    delivery.deliver_all()
    (message,) = receiver.accepted
    link = f"https://comments.example.com/base/moderate#{comment['content_id']}/{comment['id']}"
    assert message["type"] == CREATED
    assert message["text"] == f"&lt;Eve&gt; commented on /x (pending):\n\na &amp; b &lt;!channel&gt;\n\n{link}"
    assert message["data"]["comment"] == "a & b <!channel>"
    assert message["data"]["link"] == link
    assert receiver.requests == ["/hook?token=secret"]
    assert "eve@example.com" not in str(message)
    assert listed(sqlite) == []


def test_a_deleted_comment_notifies_no_one(store: CommentStore, receiver: Receiver) -> None:
    delivery = deliverer(store, webhook_settings(receiver))
    assert store.delete(1, add_comment(store, "deleted")["id"])
    pending = add_comment(store, "approved in the meantime", held=True)
    assert store.approve(1, pending["id"])
    delivery.deliver_all()
    assert receiver.comments == ["approved in the meantime"]
    assert listed(store) == []


def test_comments_that_move_to_another_page_still_notify(store: CommentStore, receiver: Receiver) -> None:
    delivery = deliverer(store, webhook_settings(receiver))
    add_comment(store, "published")
    add_comment(store, "pending", held=True)
    assert store.approve(1, add_comment(store, "approved", held=True)["id"])
    store.add(NewComment(name="Bob", comment="of another thread", content_id=2))
    assert store.move(1, 3, "") == 3
    assert store.move(1, 3, "") == 0
    delivery.deliver_all()
    delivered = [(each["data"]["comment"], each["data"]["content_id"]) for each in receiver.accepted]
    assert delivered == [("published", 3), ("pending", 3), ("approved", 3), ("of another thread", 2)]


def test_an_outage_delays_notifications_and_loses_none(
    store: CommentStore, receiver: Receiver, clock: Clock, log: Log
) -> None:
    delivery = deliverer(store, webhook_settings(receiver))
    receiver.respond = lambda number: (503, 408, 429, 500)[number % 4] if number <= 12 else 204
    texts = [str(number) for number in range(5)]
    for text in texts:
        add_comment(store, text)
    waited = []
    for _ in range(5000):
        before = len(receiver.requests)
        delivery.deliver_all()
        if receiver.accepted:
            break
        waited.append(len(receiver.requests) > before)
        clock.seconds += 10
    # After 10 s, 20 s, 40 s and so on up to an hour.
    assert [10 * (b - a) for a, b in pairwise([i for i, sent in enumerate(waited) if sent])] == [
        *(10, 20, 40, 80, 160, 320, 640, 1280, 2560),
        *(3600, 3600),
    ]
    assert receiver.comments == texts
    warning = log.entries[0]["message"]
    assert warning.startswith("notification failed: webhook: HTTP status 408; next attempt in 10 s; comments: 01")
    assert "secret" not in log.getvalue()


def test_a_store_that_takes_no_changes_repeats_no_notification(
    store: CommentStore, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = deliverer(store, webhook_settings(receiver))
    add_comment(store, "first")
    add_comment(store, "second")
    with monkeypatch.context() as patch:
        patch.setattr(store, "remove_from_outbox", Mock(side_effect=StoreError("the disk is full")))
        for _ in range(3):
            with pytest.raises(StoreError):
                delivery.deliver_all()
            clock.seconds += outbox.POLL_SECONDS
    delivery.deliver_all()
    assert receiver.comments == ["first", "second"]
    assert listed(store) == []


@pytest.mark.parametrize("status", [400, 404, 410, 302, 308])
def test_a_refused_notification_is_dropped_after_three_attempts(
    sqlite: CommentStore, receiver: Receiver, clock: Clock, log: Log, status: int
) -> None:
    delivery = deliverer(sqlite, webhook_settings(receiver))
    receiver.respond = lambda number: (503, status, status, status)[number - 1] if number <= 4 else 204
    add_comment(sqlite, "refused")
    add_comment(sqlite, "next")
    for _ in range(4):
        assert receiver.accepted == []
        delivery.deliver_all()
        clock.seconds += 100
    assert receiver.comments == []
    delivery.deliver_all()
    assert receiver.comments == ["next"]
    assert len(receiver.requests) == 5  # no redirect was followed
    assert f"notification dropped: webhook: HTTP status {status}; comments: 01" in log.getvalue()


def test_notifications_wait_until_the_url_is_stored(sqlite: CommentStore, receiver: Receiver, clock: Clock) -> None:
    delivery = deliverer(sqlite, load_settings(notify="webhook", webhook_url="none"))
    add_comment(sqlite, "first")
    for _ in range(5):
        delivery.deliver_all()
        clock.seconds += 4000
    deliverer(sqlite, webhook_settings(receiver)).deliver_all()
    assert receiver.comments == []  # another process has the lease
    clock.seconds += outbox.LEASE_SECONDS
    delivery = deliverer(sqlite, webhook_settings(receiver))
    delivery.deliver_all()
    clock.seconds += outbox.LEASE_SECONDS
    delivery.deliver_all()
    assert receiver.comments == ["first"]


# Processes


def test_a_process_that_ends_or_hangs_is_replaced_and_nothing_is_missing(
    store: CommentStore, receiver: Receiver, clock: Clock
) -> None:
    settings = webhook_settings(receiver)
    slow, other = deliverer(store, settings), deliverer(store, settings)
    texts = [str(number) for number in range(4)]
    for text in texts:
        add_comment(store, text)

    def replace_the_lease(number: int) -> int:
        """While the receiver hangs, the holder doesn't renew its lease, and the other process delivers everything."""
        if number == 1:
            other.deliver_all()
            clock.seconds += outbox.LEASE_SECONDS - 1
            other.deliver_all()
            assert receiver.accepted == []
            clock.seconds += 1 + outbox.RENEW_SECONDS
            other.deliver_all()
        return 204

    receiver.respond = replace_the_lease
    slow.deliver_all()
    assert Counter(receiver.comments) == Counter([*texts, texts[0]])  # the first one twice, the others once
    add_comment(store, "for the new holder")
    slow.deliver_all()
    assert listed(store) != []
    other.deliver_all()
    assert receiver.comments[-1] == "for the new holder"


def test_two_servers_or_tasks_send_each_notification_once_and_lose_none_if_they_are_killed(
    store_url: str, serve: Serve, receiver: Receiver, clock: Clock
) -> None:
    """Two servers on one DynamoDB table are what two tasks are: they share nothing else."""
    servers = [serve(**variables_for(receiver, store_url)) for _ in range(2)]
    post = {"name": "Alice", "content_id": 1}

    def post_to_each(texts: Iterable[int]) -> None:
        with ThreadPoolExecutor(4) as pool:
            body = [post | {"comment": str(text)} for text in texts]
            urls = [f"{servers[number % 2].url}/api/comment/new" for number in range(len(body))]
            assert {each.status for each in pool.map(lambda url, each: ask(url, "POST", each), urls, body)} == {200}

    post_to_each(range(20))
    wait_until(lambda: len(receiver.accepted) >= 20)
    assert Counter(receiver.comments) == Counter(map(str, range(20)))
    receiver.respond = lambda _: 503
    post_to_each(range(20, 30))
    for server in servers:
        for pid in (server.process.pid, *server.workers):
            os.kill(pid, signal.SIGKILL)
        server.process.wait()
    receiver.respond = lambda _: 204
    with closing(open_store(store_url)) as store:
        delivery = deliverer(store, webhook_settings(receiver))
        delivery.deliver_all()
        clock.seconds += outbox.LEASE_SECONDS
        delivery.deliver_all()
    assert Counter(receiver.comments) == Counter(map(str, range(30)))


def test_a_server_that_stops_lets_the_next_one_deliver_immediately(
    store_url: str, serve: Serve, receiver: Receiver, clock: Clock
) -> None:
    server = serve(**variables_for(receiver, store_url))
    post = {"name": "Alice", "content_id": 1, "comment": "first"}
    assert ask(f"{server.url}/api/comment/new", "POST", post).status == 200
    with closing(open_store(store_url)) as store:
        wait_until(lambda: receiver.comments == ["first"] and listed(store) == [])
        receiver.respond = lambda _: 503  # so that the server does not deliver the second one
        delivery = deliverer(store, webhook_settings(receiver))
        add_comment(store, "second")
        delivery.deliver_all()  # it hasn't got the lease yet
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
        receiver.respond = lambda _: 204
        clock.seconds += outbox.RENEW_SECONDS
        delivery.deliver_all()
    assert receiver.comments == ["first", "second"]


def test_a_receiver_that_hangs_delays_no_request(serve: Serve, receiver: Receiver, tmp_path: Path) -> None:
    server = serve(**variables_for(receiver, f"sqlite:///{tmp_path}/comments.db"))
    released = Event()
    receiver.respond = lambda _: 204 if released.wait(60) else 500
    url = f"{server.url}/api/comment/new"
    assert ask(url, "POST", {"name": "Alice", "comment": "first", "content_id": 1}).status == 200
    wait_until(lambda: receiver.requests != [])
    for number in range(20):
        comment = {"name": "Alice", "comment": str(number), "content_id": 1}
        assert ask(url, "POST", comment).status == 200
        assert len(ask(f"{server.url}/api/comment/list/1").body) == number + 2
    assert len(receiver.requests) == 1
    assert receiver.accepted == []  # it still hangs
    released.set()
    wait_until(lambda: len(receiver.accepted) == 21)


# Email


class Mailbox:
    """What a mail server accepts, and its response to each email."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.response = "250 OK"
        self.spam = ""

    async def handle_DATA(self, _server: object, _session: object, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        mail = message_from_bytes(envelope.original_content or b"", policy=policy.default)
        if self.spam and self.spam in mail.get_content():
            return "554 spam"
        if self.response.startswith("250"):
            self.mails.append(mail)
        return self.response

    async def handle_QUIT(self, _server: object, _session: object, _envelope: object) -> str:  # noqa: N802  # aiosmtpd's name
        return "451 wrong, as the server has accepted the email"

    @property
    def texts(self) -> list[str]:
        return [mail.get_content() for mail in self.mails]


@contextmanager
def mail_server(mailbox: Mailbox, **options: Any) -> Iterator[str]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def mail_settings(server: str) -> Settings:
    people = {"mail_from": "comments@example.com", "mail_to": "ann@example.com, bob@example.com"}
    return load_settings(notify="mail", mail_server=server, url="https://comments.example.com", **people)


def test_comments_within_a_minute_share_an_email(store: CommentStore, clock: Clock) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as server:
        delivery = deliverer(store, mail_settings(f"smtp://{server}"))
        first = store.add(NewComment(content_id=1, name="Zo\u00eb\u2028 Bcc: x", comment="\u00e9" * 1000), held=True)
        delivery.deliver_all()
        for number in range(3):
            add_comment(store, f"text {number}")
            delivery.deliver_all()
        (mail,) = mailbox.mails
        assert mail["Subject"] == "Zo\u00eb Bcc: x commented on thread 1 (pending)"
        assert (mail["From"], mail["To"]) == ("comments@example.com", "ann@example.com, bob@example.com")
        assert "\u00e9" * 1000 in mailbox.texts[0]
        assert f"https://comments.example.com/moderate#1/{first['id']}" in mailbox.texts[0]
        clock.seconds += outbox.LEASE_SECONDS
        delivery.deliver_all()
    assert [mail["Subject"] for mail in mailbox.mails[1:]] == ["3 comments, the first: Someone commented on thread 1"]
    assert all(f"text {number}" in mailbox.texts[1] for number in range(3))
    assert "alice@example.com" not in str(mailbox.texts)
    assert listed(store, "mail") == []


def test_an_email_with_many_long_comments_is_small_enough_for_mail_servers(sqlite: CommentStore, clock: Clock) -> None:
    mailbox, text = Mailbox(), "\U0001f600" * MAX_COMMENT
    with mail_server(mailbox, data_size_limit=10_240_000) as server:  # Postfix's default
        delivery = deliverer(sqlite, mail_settings(f"smtp://{server}"))
        for count in (1, 100):
            for _ in range(count):
                add_comment(sqlite, text)
            delivery.deliver_all()
            clock.seconds += outbox.LEASE_SECONDS
    assert listed(sqlite, "mail") == []
    assert [text in mail for mail in mailbox.texts] == [True, False]
    assert mailbox.texts[1].count("moderate#") == 100


def test_names_and_pages_add_no_headers_and_block_no_email(sqlite: CommentStore, clock: Clock) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as server:
        delivery = deliverer(sqlite, mail_settings(f"smtp://{server}"))
        for name, page in (("=?utf-8?q?a=0ABcc:_x@example.org?=", "/"), ("Eve", "/%E2%80%A8\u2028%C2%85x")):
            sqlite.add(NewComment(name=name, page=page, comment="first"))
            delivery.deliver_all()
            clock.seconds += outbox.LEASE_SECONDS
    subjects = ["= ?utf-8?q?a=0ABcc:_x@example.org?= commented on /", "Eve commented on / x"]
    assert [mail["Subject"] for mail in mailbox.mails] == subjects
    assert [mail["Bcc"] for mail in mailbox.mails] == [None, None]


def test_an_email_is_retried_unless_the_server_refuses_it_three_times(
    sqlite: CommentStore, clock: Clock, log: Log
) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as server:
        delivery = deliverer(sqlite, mail_settings(f"smtp://{server}"))
        add_comment(sqlite, "first")
        for mailbox.response in ("451 later", "452 later", "451 later", "451 later", "250 OK"):
            delivery.deliver_all()
            clock.seconds += 3600
        assert len(mailbox.mails) == 1
        add_comment(sqlite, "spam")
        for mailbox.response in ("554 spam",) * 3:
            assert listed(sqlite, "mail") != []
            delivery.deliver_all()
            clock.seconds += 3600
    assert listed(sqlite, "mail") == []
    assert "notification dropped: mail: SMTP status 554; comments: 01" in log.getvalue()
    assert "example.com" not in log.getvalue()


def test_a_comment_that_the_mail_server_refuses_drops_no_other(sqlite: CommentStore, clock: Clock, log: Log) -> None:
    mailbox = Mailbox()
    mailbox.spam = "buy pills"
    texts = ("apples", "bananas", "buy pills", "cherries")
    with mail_server(mailbox) as server:
        delivery = deliverer(sqlite, mail_settings(f"smtp://{server}"))
        for text in texts:
            add_comment(sqlite, text)
        for _ in range(12):
            delivery.deliver_all()
            clock.seconds += 3600
    assert listed(sqlite, "mail") == []
    received = "".join(mailbox.texts)
    assert [received.count(text) for text in texts] == [1, 1, 0, 1]
    assert log.getvalue().count("notification dropped") == 1


def test_a_mail_server_that_accepts_no_connection_drops_no_email(sqlite: CommentStore, clock: Clock, log: Log) -> None:
    class Refuse(StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"554 no service for you\r\n")

    with ThreadingTCPServer(("127.0.0.1", 0), Refuse) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        delivery = deliverer(sqlite, mail_settings(f"smtp://127.0.0.1:{server.server_address[1]}"))
        add_comment(sqlite, "one")
        for _ in range(outbox.ATTEMPTS + 1):
            delivery.deliver_all()
            clock.seconds += 3600
        server.shutdown()
    assert len(listed(sqlite, "mail")) == 1
    assert "SMTP connection failed with 554" in log.getvalue()


def test_a_password_is_only_sent_with_tls_to_the_certified_host(
    sqlite: CommentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock, log: Log
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out"]
    command += [str(certificate), "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(command, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    logins: list[tuple[bytes, bytes]] = []

    def authenticate(*arguments: Any) -> AuthResult:
        logins.append((arguments[4].login, arguments[4].password))
        return AuthResult(success=True)

    mailbox, auth = Mailbox(), {"authenticator": authenticate}
    with (
        mail_server(mailbox, auth_require_tls=False, **auth) as plain,
        mail_server(mailbox, tls_context=context, **auth) as secure,
    ):
        for server in (plain, secure):
            sqlite.targets = ("mail",)
            delivery = deliverer(sqlite, mail_settings(f"smtp://user:p%40ss@{server}"))
            add_comment(sqlite, "first")
            clock.seconds += outbox.LEASE_SECONDS
            delivery.deliver_all()
            clock.seconds += outbox.LEASE_SECONDS
            delivery.deliver_all()
            assert (logins, mailbox.mails) == ([], [])
        assert "does not support STARTTLS" in log.getvalue()
        assert "SSLCertVerificationError" in log.getvalue()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        clock.seconds += 3600
        delivery.deliver_all()
    assert logins == [(b"user", b"p@ss")]
    assert len(mailbox.mails) == 1


def test_ses_sends_email_of_a_verified_identity(
    sqlite: CommentStore, clock: Clock, log: Log, engine: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in engine.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_DEFAULT_REGION")  # Fargate only sets AWS_REGION
    delivery = deliverer(sqlite, mail_settings("ses:"))
    add_comment(sqlite, "first")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    for _ in range(5):
        delivery.deliver_all()
        clock.seconds += 3600
    assert listed(sqlite, "mail") != []  # an outage
    monkeypatch.setenv("AWS_ENDPOINT_URL", engine["AWS_ENDPOINT_URL"])
    for _ in range(outbox.ATTEMPTS):
        delivery.deliver_all()
        clock.seconds += 3600
    assert "SES: MessageRejected" in log.getvalue()  # not verified
    assert "example.com" not in log.getvalue()
    boto3.client("sesv2", region_name="us-east-1").create_email_identity(EmailIdentity="example.com")
    delivery.deliver_all()
    assert listed(sqlite, "mail") == []
    ((mail,),) = ask(f"{engine['AWS_ENDPOINT_URL']}/_ministack/ses/messages").body["messages"].values()
    assert (mail["Source"], mail["To"]) == ("comments@example.com", ["ann@example.com", "bob@example.com"])
    assert mail["Subject"] == "Someone commented on thread 1"
    assert "first" in mail["BodyText"]


# The status page


def test_the_status_shows_a_failing_target_without_its_address(
    store: CommentStore, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("comments.http.status.CHECK_SECONDS", 0)
    settings = webhook_settings(receiver)
    client = create_app(settings, store).test_client()
    assert client.get("/api/status").get_json()["notifications"] == [
        {"target": "webhook", "status": "OK", "oldest": None}
    ]
    comment = add_comment(store, "first")
    monkeypatch.setattr("comments.notifications.outbox.LATE_SECONDS", -60)
    response, page = client.get("/api/status"), client.get("/status").text
    status = response.get_json()
    (state,) = status["notifications"]
    assert (state["status"], state["oldest"][:16]) == ("FAILING", comment["created_at"][:16])
    assert status["status"] == "OK"  # the service itself works
    assert "Notifications by webhook are delayed since" in page
    assert "127.0.0.1" not in response.text + page


def test_the_age_of_the_oldest_notification_is_a_metric_and_pending_comments_are_counted(
    sqlite: CommentStore, receiver: Receiver, clock: Clock, log: Log
) -> None:
    settings = webhook_settings(receiver).model_copy(update={"metrics": "comments/test"})
    delivery, other = (deliverer(sqlite, settings) for _ in range(2))
    receiver.respond = lambda _: 503
    for text in ("first", "second"):
        add_comment(sqlite, text, held=True)
    oldest = Mock(wraps=datetime, now=lambda zone: datetime.now(zone) + timedelta(seconds=1000))
    with patch("comments.notifications.outbox.datetime", oldest):
        delivery.deliver_all()
    other.deliver_all()  # it hasn't got the lease
    receiver.respond = lambda _: 204
    for _ in range(3):
        clock.seconds += 40
        delivery.deliver_all()
    reports = [each for each in log.entries if each["message"] == "notifications"]
    assert [round(each["undelivered_seconds"], -2) for each in reports] == [1000, 0]
    assert {each["pending"] for each in reports} == {2}
    directive = {
        "Namespace": "comments/test",
        "Dimensions": [[]],
        "Metrics": [{"Name": "undelivered_seconds", "Unit": "Seconds"}],
    }
    assert reports[0]["_aws"]["CloudWatchMetrics"] == [directive]
