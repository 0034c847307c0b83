"""How a request to DynamoDB fails.

DynamoDBError             `kind` is one word for it, which the status page shows
├── NoAnswer              no connection, no credentials, a time-out, a reset, an answer that arrived damaged
└── Refused               DynamoDB's own error: `kind` is its code
    └── ConditionFailed   a transaction was cancelled by a condition
"""

from typing import Any

import orjson

PASSING = {
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "ThrottlingException",
    "TransactionConflictException",
}
"""Codes that come as a 400 and that the next attempt may not meet; what comes as a 5xx passes too."""

PASSING_REASONS = {"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}
"""The same among the reasons of a cancelled transaction."""

OUTDATED = {"ExpiredTokenException", "UnrecognizedClientException"}
"""Codes of credentials that were replaced before their time."""


class DynamoDBError(Exception):
    """`passes` tells that another attempt may succeed."""

    def __init__(self, kind: str, message: str, *, passes: bool = False) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind = kind
        self.passes = passes


class NoAnswer(DynamoDBError):
    pass


class Refused(DynamoDBError):
    pass


class ConditionFailed(Refused):
    """`items` are what is stored, by the position of the change in the transaction."""

    def __init__(self, items: dict[int, dict[str, Any]]) -> None:
        super().__init__("ConditionalCheckFailed", "")
        self.items = items


def refusal(status: int, payload: bytes) -> Refused:
    """Read DynamoDB's error; something between may answer a page of its own instead."""
    try:
        problem = orjson.loads(payload)
    except orjson.JSONDecodeError:
        problem = None
    if not isinstance(problem, dict):
        problem = {}
    code = str(problem.get("__type") or f"HTTP {status}").rpartition("#")[2]
    reasons: list[dict[str, Any]] = problem.get("CancellationReasons") or []
    failed = {
        position: reason.get("Item", {})
        for position, reason in enumerate(reasons)
        if reason.get("Code") == "ConditionalCheckFailed"
    }
    if failed:
        return ConditionFailed(failed)
    codes = {str(reason.get("Code")) for reason in reasons} - {"None"}
    passes = status >= 500 or code in PASSING or bool(codes and codes <= PASSING_REASONS)  # noqa: PLR2004  # HTTP's
    return Refused(code, str(problem.get("message") or problem.get("Message") or ""), passes=passes)
