"""Targets of notifications: a webhook, and email by SMTP or Amazon SES."""

import base64
import hmac
import logging
import os
import smtplib
import ssl
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import unquote, urlsplit

import orjson

from comments.comment import KEYS, Comment
from comments.config import UNSET_SECRET, Settings
from comments.ids import created_at
from comments.stores.base import EDITED

log = logging.getLogger(__name__)

PERMANENT = 500
"""SMTP: replies from this status on are permanent (RFC 5321, section 4.2.1)."""
CONNECTION_SECONDS = 10.0
"""How long to wait for a connection, and for each part of a response."""
MAIL_SECONDS = 60.0
"""Time between emails. Comments that arrive in the meantime share the next one."""
MAIL_COMMENTS = 100
"""Maximum number of comments in an email."""
MAX_MAIL = 200_000
"""Characters in an email, which need up to 12 bytes each. Many mail servers refuse emails of 10 MB. Comments share
them: up to 20 are never cut off."""

MAX_TEXT = 2000
"""Characters of a comment in the text of a webhook. Slack cuts off longer ones."""

SHARED = [name for name in KEYS if name not in {"email", "author"}]
"""Fields of a comment that a webhook receives. Email addresses stay in the store."""


class DeliveryError(Exception):
    """The target cannot be reached. The message contains neither addresses nor secrets."""


class Refused(DeliveryError):
    """The target received a notification, and will not accept it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A notification with its comment."""

    id: str
    event: str
    comment: Comment
    link: str
    """Where to moderate the comment, or empty."""

    @property
    def headline(self) -> str:
        name = self.comment.get("name", "Someone")
        page = self.comment.get("page") or f"thread {self.comment['content_id']}"
        pending = " (pending)" if self.comment.get("held") else ""
        action = "edited a comment" if self.event == EDITED else "commented"
        return " ".join(f"{name} {action} on {page}{pending}".split())  # without line separators, which pages may have

    def text(self, maximum: int) -> str:
        return "\n\n".join(filter(None, (f"{self.headline}:", self.comment["comment"][:maximum], self.link)))


class Target(Protocol):
    name: str
    batch: int
    """Maximum number of messages in a delivery."""
    interval: float
    """Seconds between deliveries."""

    def send(self, messages: Sequence[Message]) -> None:
        """Raises DeliveryError."""
        ...


class Webhook:
    """Posts each message as JSON, signed as standardwebhooks.com says. Slack shows its `text`."""

    name = "webhook"
    batch = 1
    interval = 0.0

    def __init__(self, settings: Settings) -> None:
        self._url = settings.webhook_url.get_secret_value()
        self._key = base64.b64decode(settings.webhook_key.get_secret_value().removeprefix("whsec_"))

    def send(self, messages: Sequence[Message]) -> None:
        if self._url == UNSET_SECRET:
            raise DeliveryError("COMMENTS_WEBHOOK_URL has no value yet")
        for message in messages:
            status = self._post(message.id, _body(message))
            if status in {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS} or status >= 500:  # noqa: PLR2004  # server errors
                raise DeliveryError(f"HTTP status {status}")
            if not 200 <= status < 300:  # noqa: PLR2004  # redirects are refusals, too
                raise Refused(f"HTTP status {status}")

    def _post(self, message_id: str, body: bytes) -> int:
        """Return the status of the response. Redirects are not followed."""
        sent_at = str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "comments",
            "webhook-id": message_id,
            "webhook-timestamp": sent_at,
        }
        if self._key:
            signature = hmac.digest(self._key, f"{message_id}.{sent_at}.".encode() + body, "sha256")
            headers["webhook-signature"] = f"v1,{base64.b64encode(signature).decode()}"
        url = urlsplit(self._url)
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        try:
            with closing(kind(url.netloc, timeout=CONNECTION_SECONDS)) as connection:
                connection.request(
                    "POST", url._replace(scheme="", netloc="", fragment="").geturl() or "/", body, headers
                )
                return connection.getresponse().status
        except (OSError, HTTPException) as error:
            raise DeliveryError(type(error).__name__) from error


def _body(message: Message) -> bytes:
    text = message.text(MAX_TEXT)
    for character, escaped in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):  # Slack would read them as markup
        text = text.replace(character, escaped)
    data = {name: message.comment[name] for name in SHARED if name in message.comment}  # type: ignore[literal-required]  # mypy does not follow the names
    if message.link:
        data["link"] = message.link
    return orjson.dumps({"type": message.event, "timestamp": created_at(message.id), "data": data, "text": text})


class Mail:
    """Sends one email for all messages, by SMTP or with Amazon SES."""

    name = "mail"
    batch = MAIL_COMMENTS
    interval = MAIL_SECONDS

    def __init__(self, settings: Settings) -> None:
        self._server = settings.mail_server.get_secret_value()
        self._sender, self._recipients = settings.mail_from, settings.mail_to

    def send(self, messages: Sequence[Message]) -> None:
        several = f"{len(messages)} comments, the first: " if len(messages) > 1 else ""
        mail = EmailMessage()
        mail["From"], mail["To"] = self._sender, ", ".join(self._recipients)
        # EmailMessage would decode an encoded word of a commenter, which may contain a line break and other headers.
        mail["Subject"] = (several + messages[0].headline).replace("=?", "= ?")
        mail["Message-ID"] = f"<{messages[0].id}@{self._sender.partition('@')[2]}>"  # a repeated one may be recognized
        mail["Auto-Submitted"] = "auto-generated"
        maximum = MAX_MAIL // len(messages)
        mail.set_content("\n\n-- \n".join(message.text(maximum) for message in messages), cte="quoted-printable")
        (self._send_with_ses if self._server == "ses:" else self._send_by_smtp)(mail)

    def _send_by_smtp(self, mail: EmailMessage) -> None:
        try:
            with closing(self._connect()) as server:
                refused = server.send_message(mail)
                with suppress(OSError):  # the email is accepted already
                    server.quit()
        except smtplib.SMTPAuthenticationError as error:  # the settings are wrong, not the email
            raise DeliveryError(f"SMTP authentication failed with {error.smtp_code}") from error
        except (smtplib.SMTPConnectError, smtplib.SMTPHeloError) as error:
            raise DeliveryError(f"SMTP connection failed with {error.smtp_code}") from error
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise (Refused if min(codes) >= PERMANENT else DeliveryError)(f"SMTP status {codes[0]}") from error
        except smtplib.SMTPResponseException as error:
            kind = Refused if error.smtp_code >= PERMANENT else DeliveryError
            raise kind(f"SMTP status {error.smtp_code}") from error
        except OSError as error:  # also other errors of SMTP
            raise DeliveryError(type(error).__name__) from error
        if refused:
            log.warning(
                "the mail server refused %s of %s addresses in COMMENTS_MAIL_TO", len(refused), len(self._recipients)
            )

    def _connect(self) -> smtplib.SMTP:
        """Connect with TLS if the server supports it. A password is never sent without TLS."""
        url = urlsplit(self._server)
        context, host = ssl.create_default_context(), url.hostname or ""
        if url.scheme == "smtps":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, url.port or 465, timeout=CONNECTION_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, url.port or 587, timeout=CONNECTION_SECONDS)
        try:
            server.ehlo()
            if url.scheme == "smtp" and server.has_extn("starttls"):
                server.starttls(context=context)
            elif url.scheme == "smtp" and url.username:
                raise DeliveryError("the mail server does not support STARTTLS, so the password was not sent")  # noqa: TRY301  # closes
            if url.username:
                server.login(unquote(url.username), unquote(url.password or ""))
        except BaseException:
            server.close()
            raise
        return server

    def _send_with_ses(self, mail: EmailMessage) -> None:
        import boto3  # noqa: PLC0415  # slow to import
        from botocore.config import Config  # noqa: PLC0415  # slow to import
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # slow to import

        config = Config(
            connect_timeout=CONNECTION_SECONDS, read_timeout=CONNECTION_SECONDS, retries={"total_max_attempts": 1}
        )
        try:
            boto3.client("sesv2", region_name=os.environ.get("AWS_REGION"), config=config).send_email(
                FromEmailAddress=self._sender,
                Destination={"ToAddresses": list(self._recipients)},
                Content={
                    "Simple": {
                        "Subject": {"Data": mail["Subject"], "Charset": "UTF-8"},
                        "Body": {"Text": {"Data": mail.get_content(), "Charset": "UTF-8"}},
                        "Headers": [{"Name": "Auto-Submitted", "Value": "auto-generated"}],
                    }
                },
            )
        except ClientError as error:
            code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
            # An identity that is not verified yet is no fault of the email.
            is_refusal = code in {"MessageRejected", "BadRequestException"} and "not verified" not in text
            raise (Refused if is_refusal else DeliveryError)(f"SES: {code}") from error
        except BotoCoreError as error:
            raise DeliveryError(f"SES: {type(error).__name__}") from error


TARGETS: dict[str, type[Webhook | Mail]] = {"webhook": Webhook, "mail": Mail}
