"""The saved Logs Insights queries of a stage, by name: in CloudWatch's console and in `make logs QUERY=…` alike."""

REQUEST_ID = "REQUEST-ID"
"""Stands in a query for the id that a client got in its answer's X-Request-Id header."""
ONE_REQUEST = "one request"
_FIELDS = "fields @timestamp, level, request_id, method, path, status, duration_ms, message"

QUERIES = {
    ONE_REQUEST: f'{_FIELDS}, traceback | filter request_id = "{REQUEST_ID}" | sort @timestamp asc',
    "failures": f"{_FIELDS} | filter status >= 500 | sort @timestamp desc | limit 100",
    "warnings and errors": "fields @timestamp, level, request_id, message, traceback"
    ' | filter level in ["warning", "error", "critical"] | sort @timestamp desc | limit 100',
    "slowest requests": f"{_FIELDS} | filter ispresent(duration_ms) | sort duration_ms desc | limit 50",
    "slowest routes": "filter ispresent(duration_ms) | stats pct(duration_ms, 99) as p99, avg(duration_ms) as mean,"
    " count(*) as requests by method, route | sort p99 desc",
    "answers by route": "filter ispresent(duration_ms) | stats count(*) as requests by route, status"
    " | sort requests desc",
    # What tasks say besides answering: each stream is one task, from its first line to its last.
    "a deployment": 'fields @timestamp, @logStream, level, message | filter message != "request"'
    " | sort @timestamp asc | limit 500",
}
"""Their fields are those of the application's log lines."""


def readable(query: str) -> str:
    """Return the query with one command a line, as Insights' editor shows it best."""
    return query.replace(" | ", "\n| ")
