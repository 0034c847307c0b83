"""Runs a saved Logs Insights query over a stage's log, and shows what it finds as a table."""

from __future__ import annotations

import difflib
import re
import time
from collections.abc import Iterator, Mapping, Sequence

from infra.queries import ONE_REQUEST, QUERIES
from release.aws import Aws
from release.errors import AwsError, NotReadyError

POLL_SECONDS = 0.5
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What the service takes for a request id; anything else it replaces."""
_BELOW = ("traceback",)
"""Fields of many lines, shown below their row."""
_WIDEST = 60

Row = Mapping[str, str]


def saved(name: str) -> str:
    """Return the query of that name; raise NotReadyError, which lists the names."""
    if name == ONE_REQUEST:
        raise NotReadyError(f"the query {ONE_REQUEST!r} needs to know which: give the id with --request (REQUEST=…)")
    if name not in QUERIES:
        near = difflib.get_close_matches(name, QUERIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise NotReadyError(f"no saved query {name!r}: it is one of {', '.join(map(repr, QUERIES))}{hint}")
    return QUERIES[name]


def checked_id(request_id: str) -> str:
    """Return the id as it came; raise NotReadyError for what no answer's header can have held."""
    if not _ID.fullmatch(request_id):
        raise NotReadyError(f"{request_id!r} is no request id: take it from the answer's X-Request-Id header")
    return request_id


def run_query(aws: Aws, query: str, *, since: int) -> list[Row]:
    """Return the rows that a query finds from `since` seconds ago on."""
    now = int(time.time())
    started = aws.logs.start_query(
        logGroupName=aws.stage.app_log_group, startTime=now - since, endTime=now + 1, queryString=query
    )
    while True:
        found = aws.logs.get_query_results(queryId=started["queryId"])
        if found["status"] == "Complete":
            return [
                {cell["field"]: cell["value"] for cell in row if cell["field"] != "@ptr"} for row in found["results"]
            ]
        if found["status"] not in {"Scheduled", "Running"}:
            raise AwsError(f"the query ended as {found['status']}: ask for a shorter time with --since")
        time.sleep(POLL_SECONDS)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a heading and a line for each row, columns aligned, with what has many lines below its row."""
    names = list(dict.fromkeys(name for row in rows for name in row if name not in _BELOW))
    widths = {name: min(_WIDEST, max(len(name), *(len(row.get(name, "")) for row in rows))) for name in names}
    yield "  ".join(name.ljust(widths[name]) for name in names).rstrip()
    for row in rows:
        yield "  ".join(row.get(name, "-").ljust(widths[name]) for name in names).rstrip()
        for name in _BELOW:
            yield from (f"    {line}" for line in row.get(name, "").splitlines())
