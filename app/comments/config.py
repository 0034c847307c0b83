"""Settings, read once from COMMENTS_* environment variables. docs/configuration.md lists them all.

An empty variable counts as unset: Compose and other tools cannot unset one.
"""

import base64
import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from comments.errors import field_errors
from comments.fields import MAX_CONTENT_ID, matches

PREFIX = "COMMENTS_"
DATA = Path(__file__).resolve().parent.parent / "data"
"""Directory of the default store. In the image, it is a link to /data, where a volume can be mounted."""

TOKEN = r"(?=.{16})[!-<>-~]+=*"  # noqa: S105  # a pattern
"""16 characters, to make guessing infeasible. werkzeug reads `Bearer a=b` as a parameter; as in RFC 6750, = may only be
padding."""

NAMESPACE = r"((?!AWS/)[A-Za-z0-9._/#-]{1,255})?"
"""CloudWatch silently drops metrics with any other namespace."""

STORE = r"sqlite:///.+|dynamodb://[A-Za-z0-9_.:/-]{3,}"
RATE = r"([1-9][0-9]{0,5}/(second|minute|hour|day))?"
COMMIT = r"[0-9a-zA-Z._-]{0,64}"
URL = r"(https?://[^\s<>&?#@]+)?"
ADDRESS = re.compile(r"[!-~]+@[A-Za-z0-9.-]+")
CREDENTIAL = "(?:[!-$&-~]|%[0-7][0-9A-Fa-f])+"  # smtplib sends ASCII only
MAIL_SERVER = rf"ses:|smtps?://({CREDENTIAL}:{CREDENTIAL}@)?[A-Za-z0-9.-]+(:[1-9][0-9]{{0,4}})?"
KEY_BYTES = range(24, 65)
"""Size of a signing key: https://github.com/standard-webhooks/standard-webhooks, "Symmetric"."""
UNSET_SECRET = "none"  # noqa: S105  # not a secret
"""Value of COMMENTS_WEBHOOK_URL until somebody stores the URL: Secrets Manager has no empty values."""
WEBHOOK = rf"{UNSET_SECRET}|https?://[^\s/?#@]+([/?][!-~]*)?"
ORIGIN = re.compile(
    r"(?!https:.*:443$|http:.*:80$)"  # browsers leave out these ports
    r"https?://[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[1-9][0-9]{0,4})?"
)


TARGET_SETTINGS = {"webhook": ("webhook_url",), "mail": ("mail_server", "mail_from", "mail_to")}
"""Settings of each target of notifications."""


class ConfigError(Exception):
    """The service cannot start with these settings; the message names the variable."""


def _secret(pattern: str, message: str) -> AfterValidator:
    check: Any = matches(f"({pattern})?", message).func

    def validate(secret: SecretStr) -> SecretStr:
        check(secret.get_secret_value())
        return secret

    return AfterValidator(validate)


def _signing_key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().removeprefix("whsec_")
    try:
        size = len(base64.b64decode(text, validate=True))
    except ValueError:
        size = 0
    if text and size not in KEY_BYTES:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64: openssl rand -base64 32")
    return secret


def _addresses(addresses: tuple[str, ...]) -> tuple[str, ...]:
    for address in addresses:
        if not ADDRESS.fullmatch(address):
            raise ValueError(f"has the invalid address {address!r}")
    return addresses


def _items(value: Any) -> Any:
    """Split at commas and spaces."""
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


def _phrases(value: Any) -> Any:
    """Split at commas."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _origins(origins: tuple[str, ...]) -> tuple[str, ...]:
    for origin in origins if origins != ("*",) else ():
        if not ORIGIN.fullmatch(origin):
            raise ValueError(
                f"has the invalid origin {origin!r}; write https://HOST in lower case without a final /, path or"
                " default port, or *"
            )
    return origins


class Settings(BaseSettings):
    """Each field is read from the environment variable COMMENTS_NAME, its name in upper case."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, frozen=True, extra="ignore", hide_input_in_errors=True
    )

    store: Annotated[str, matches(STORE, "must be sqlite:///PATH or dynamodb://TABLE")] = (
        f"sqlite:///{DATA}/comments.db"
    )
    """Where comments are stored: sqlite:///PATH (four slashes for an absolute path) or dynamodb://TABLE."""

    trusted_proxies: Annotated[int, Field(ge=0, le=99)] = 0
    """Number of trusted proxies in front of the service. With 0, the client address is that of the connection."""

    metrics: Annotated[str, matches(NAMESPACE, "must be a CloudWatch namespace such as comments/dev")] = ""
    """CloudWatch namespace for metrics embedded in log lines; empty: no metrics."""

    moderator_token: Annotated[
        SecretStr,
        _secret(TOKEN, "must have at least 16 visible ASCII characters, no spaces, and = only at its end"),
    ] = SecretStr("")
    """Bearer token of the moderator; empty: no moderator routes."""

    hold: Annotated[tuple[Literal["all", "links", "words", "newcomers"], ...], NoDecode, BeforeValidator(_items)] = ()
    """Which new comments await the moderator's approval (see hold.py); empty: none."""

    hold_words: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_phrases)] = ()
    """Words and phrases of the rule `words`, separated by commas."""

    emails: Literal["show", "mask", "hide"] = "show"
    """How public responses show email addresses."""

    post_limit: Annotated[str, matches(RATE, "must be a number per second, minute, hour or day: 10/minute")] = ""
    """Comments one client may post, such as 10/minute; empty: no limit. Each worker counts separately."""

    cors_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items), AfterValidator(_origins)] = ()
    """Origins whose pages may call the API from a browser, or * for all."""

    status_thread: Annotated[int, Field(ge=1, le=MAX_CONTENT_ID)] | None = None
    """content_id of the thread whose comments /status shows as messages; only the moderator can post to it."""

    url: Annotated[str, matches(URL, "must be the public URL of the service: https://comments.example.com")] = ""
    """Public URL of the service, for links in notifications; empty: no links."""

    notify: Annotated[tuple[Literal["webhook", "mail"], ...], NoDecode, BeforeValidator(_items)] = ()
    """Targets that are notified of new, pending and edited comments (see notifications/); empty: none."""

    webhook_url: Annotated[SecretStr, _secret(WEBHOOK, "must be an http(s) URL, without a user name and spaces")] = (
        SecretStr("")
    )
    """URL to which notifications are posted."""

    webhook_key: Annotated[SecretStr, AfterValidator(_signing_key)] = SecretStr("")
    """Key that signs them, in base64; empty: no signature."""

    mail_server: Annotated[
        SecretStr,
        _secret(
            MAIL_SERVER,
            "must be ses:, smtp://HOST or smtps://HOST, also with USER:PASSWORD@ (percent-encoded ASCII) and :PORT",
        ),
    ] = SecretStr("")
    """Server that sends email: smtp://USER:PASSWORD@HOST:PORT, smtps://… or ses: for Amazon SES."""

    mail_from: Annotated[str, matches(f"({ADDRESS.pattern})?", "must be an email address")] = ""
    """Sender of notifications."""

    mail_to: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_items), AfterValidator(_addresses)] = ()
    """Recipients of notifications."""

    commit: Annotated[str, matches(COMMIT, "must be a commit, such as 2763b140a0b9")] = ""
    """Commit that /status shows; the image sets it."""

    @model_validator(mode="after")
    def _check_combinations(self) -> Self:
        for name in ("hold", "status_thread"):
            if getattr(self, name) and not self.moderator_token.get_secret_value():
                raise ValueError(f"{PREFIX}{name.upper()} needs COMMENTS_MODERATOR_TOKEN")
        if ("words" in self.hold) != bool(self.hold_words):
            raise ValueError("COMMENTS_HOLD_WORDS and words in COMMENTS_HOLD need each other")
        for target, names in TARGET_SETTINGS.items():
            given = [name for name in names if str(getattr(self, name) or "")]
            if target in self.notify and (missing := [name for name in names if name not in given]):
                raise ValueError(f"COMMENTS_NOTIFY has {target}, which needs {PREFIX}{missing[0].upper()}")
            if given and target not in self.notify:
                raise ValueError(f"{PREFIX}{given[0].upper()} needs COMMENTS_NOTIFY={target}")
        return self


def load_settings(**overrides: Any) -> Settings:
    """Read the environment. Raises ConfigError, which names each invalid variable."""
    if os.environ.get("COMMENTS_MODERATION"):
        raise ConfigError("COMMENTS_MODERATION is no longer a setting; for `on`, set COMMENTS_HOLD=all instead")
    try:
        return Settings(**overrides)
    except ValidationError as invalid:
        names = {"body": ""} | {name: f"{PREFIX}{name.upper()} " for name in Settings.model_fields}
        raise ConfigError("; ".join(names[each["field"]] + each["message"] for each in field_errors(invalid))) from None


def lost_with_container(store: str) -> bool:
    """Whether comments are stored in the container itself, because no volume is mounted at /data."""
    return (
        DATA.is_symlink()
        and not DATA.resolve().is_mount()
        and Path(store.removeprefix("sqlite:///")).parent in {DATA, DATA.resolve()}
    )


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each COMMENTS_* variable that is not a setting.

    Not an error: Kubernetes sets COMMENTS_PORT and others for a Service called "comments".
    """
    known = [name.upper() for name in Settings.model_fields]
    warnings = []
    for variable in environ:
        name = variable.removeprefix(PREFIX)
        if name != variable and name not in known:
            close = get_close_matches(name, known, n=1)
            warnings.append(f"{variable} is not a setting" + (f"; did you mean {PREFIX}{close[0]}?" if close else ""))
    return warnings
