"""Your workload: the comment service. infra/model.py explains each field; infra/resources.py has its constructs."""

from collections.abc import Iterator, Mapping

from infra.model import (
    REQUEST_ID,
    Egress,
    Failures,
    Owned,
    Response,
    Secret,
    Service,
    SmokeTest,
    Stage,
    Traffic,
    Workload,
)

_UNUSED_THREAD = 2**53 - 1
"""Highest content_id that the API accepts, unlikely to be a real thread. Listing it reads from the store."""
_LIST = f"/api/comment/list/{_UNUSED_THREAD}"
_OK = Response(200, r'^\{"status": ?"OK"')
_NOT_FOUND = Response(404, '"NOT-FOUND"')
_NEED_TOKEN = ("COMMENTS_HOLD", "COMMENTS_STATUS_THREAD")
_POST_LIMIT = "COMMENTS_POST_LIMIT"
_FIELDS = "fields @timestamp, level, request_id, method, path, status, duration_ms, message"

TABLE = Owned(
    service=Service.DYNAMODB,
    indexes=True,
    # A transaction requires the permissions of its operations.
    actions=(
        *("dynamodb:Query", "dynamodb:GetItem", "dynamodb:BatchGetItem"),
        *("dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:DeleteItem"),
    ),
    # One of ten requests stores a comment of 0.3 kB. embed.js sends an idempotency key, so that is a transaction of two
    # items, with two units each, after a read of the key. Its keys in the index (0.2 kB) and the thread's counter take
    # a unit each. The others read 20 comments: 6 kB, and a unit is 4 kB.
    writes=0.1 * (4 + 1 + 1),
    reads=0.1 * 1 + 0.9 * 2,
    stored_kb=0.1 * (0.3 + 0.2),
)

MAIL: Owned | None = None
"""Domain or address from which a stage with COMMENTS_NOTIFY=mail sends email with Amazon SES, one stage per account:
Owned(service=Service.SES, name="example.com", actions=("ses:SendEmail",), writes=0.1)."""


def notifies(stage: Stage, target: str) -> bool:
    return target in dict(stage.settings).get("COMMENTS_NOTIFY", "").replace(",", " ").split()


def _has_webhook(stage: Stage) -> bool:
    return notifies(stage, "webhook")


MODERATOR = Secret(
    name="moderator",
    variable="COMMENTS_MODERATOR_TOKEN",
    description="Bearer token of the moderator",
    needs_https=True,
)
WEBHOOK = (
    Secret(
        name="webhook-url",
        variable="COMMENTS_WEBHOOK_URL",
        description="URL that notifications are posted to",
        needed_by=_has_webhook,
        initial="none",
    ),
    Secret(
        name="webhook-key",
        variable="COMMENTS_WEBHOOK_KEY",
        description="Key that signs notifications",
        needed_by=_has_webhook,
    ),
)


def environment(stage: Stage) -> Mapping[str, str]:
    variables = {
        "COMMENTS_STORE": f"dynamodb://{stage.service}",
        "COMMENTS_TRUSTED_PROXIES": str(stage.trusted_proxies),
    }
    if not stage.web_acl and _POST_LIMIT not in dict(stage.settings):
        variables[_POST_LIMIT] = f"{max(stage.post_limit // 5, 1)}/minute"
    if notifies(stage, "mail"):
        variables["COMMENTS_MAIL_SERVER"] = "ses:"
    if stage.domain and (notifies(stage, "mail") or notifies(stage, "webhook")):
        variables["COMMENTS_URL"] = f"https://{stage.domain.name}"
    return variables


def problems(stage: Stage) -> Iterator[str]:
    for name, _ in stage.settings:
        if name in _NEED_TOKEN and MODERATOR not in WORKLOAD.secrets_of(stage):
            yield f"{name} needs a moderator token, which only a stage with HTTPS has"
        if name == "COMMENTS_MAIL_SERVER":
            yield "COMMENTS_MAIL_SERVER must not be set: tasks can only connect to port 443, so email is sent with SES"
        if name == "COMMENTS_MODERATION":
            yield "COMMENTS_MODERATION is no longer a setting: use COMMENTS_HOLD"
    if notifies(stage, "webhook") and stage.egress is Egress.ENDPOINTS:
        yield "COMMENTS_NOTIFY has webhook, but egress ENDPOINTS has no route to it; use Egress.PUBLIC_IP or NAT"
    if notifies(stage, "mail"):
        yield from _problems_of_mail(dict(stage.settings))


def _problems_of_mail(settings: Mapping[str, str]) -> Iterator[str]:
    if not MAIL:
        yield "COMMENTS_NOTIFY has mail, which needs MAIL in infra/workload.py: the identity that sends it"
        return
    sender = settings.get("COMMENTS_MAIL_FROM", "")
    if MAIL.name not in {sender, sender.partition("@")[2]}:
        yield f"COMMENTS_MAIL_FROM is {sender!r}, which MAIL in infra/workload.py, {MAIL.name}, does not include"
    if not settings.get("COMMENTS_MAIL_TO"):
        yield "COMMENTS_NOTIFY has mail, which needs COMMENTS_MAIL_TO"


WORKLOAD = Workload(
    name="comments",
    description="comment service",
    image_files=("app", "requirements.txt", "Dockerfile", ".dockerignore"),
    commit_argument="COMMENTS_COMMIT",
    container="api",
    health_path="/healthz",
    environment=environment,
    metrics_variable="COMMENTS_METRICS",
    counts_failures=True,
    settings_prefix="COMMENTS_",
    problems=problems,
    secrets=(MODERATOR, *WEBHOOK),
    owns=(TABLE, *((MAIL,) if MAIL else ())),
    smoke_tests=(
        SmokeTest(path="/healthz", expected=(_OK,)),
        SmokeTest(path=_LIST, expected=(Response(200, r"^\["), _NOT_FOUND)),
        SmokeTest(path="/api/status", expected=(_OK, _NOT_FOUND)),  # an older image may not have it
    ),
    probe_path=_LIST,
    failures=Failures(
        pattern='{ $.logger = "comments.errors" }',
        outage="the store failed: ",
        causes={
            r"table (\S+): .*ResourceNotFoundException": r"the table \1 is missing: restore it from a backup under this"
            " name (docs/operations.md)",
            r"(?s)(.*)": r"the store doesn't respond: \1",
        },
        responses=(Response(503, '"UNAVAILABLE"'), Response(200, r'^\{"status": ?"DEGRADED"')),
    ),
    queries={
        "one request": f'{_FIELDS}, traceback | filter request_id = "{REQUEST_ID}" | sort @timestamp asc',
        "one comment": "fields @timestamp, message, action, method, path, status, id, published_id, client"
        ' | filter id = "COMMENT-ID" or published_id = "COMMENT-ID" or path like "COMMENT-ID" | sort @timestamp asc',
        "failures": f"{_FIELDS} | filter status >= 500 | sort @timestamp desc | limit 100",
        "warnings and errors": "fields @timestamp, level, request_id, message, traceback"
        ' | filter level in ["warning", "error", "critical"] | sort @timestamp desc | limit 100',
        "slowest requests": f"{_FIELDS} | filter ispresent(duration_ms) | sort duration_ms desc | limit 50",
        "slowest routes": "filter ispresent(duration_ms) | stats pct(duration_ms, 99) as p99, avg(duration_ms) as mean,"
        " count(*) as requests by method, route | sort p99 desc",
        "responses by route": "filter ispresent(duration_ms) | stats count(*) as requests by route, status"
        " | sort requests desc",
        # Everything except requests. Each stream is one task.
        "deployment": 'fields @timestamp, @logStream, level, message | filter message != "request"'
        " | sort @timestamp asc | limit 500",
    },
    post_path="/api/comment/",  # a moderator may approve and delete more
    blocked_body={"status": "FORBIDDEN", "message": "this request looks like an attack and was blocked"},
    limited_body={"status": "RATE-LIMITED", "message": "too many posts from this address: wait five minutes"},
    # A page of 20 comments and its headers is 4 kB; a tenth of the requests posts a comment.
    traffic=Traffic(response_kb=4 * 0.9, routes=19),
)
