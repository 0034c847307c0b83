"""Saved Logs Insights queries by name, for CloudWatch's console and for `make logs QUERY=…`."""

REQUEST_ID = "REQUEST-ID"
"""Placeholder in a query for the ID in the X-Request-Id header of a response."""
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
    "responses by route": "filter ispresent(duration_ms) | stats count(*) as requests by route, status"
    " | sort requests desc",
    # Everything except requests. Each stream is one task.
    "deployment": 'fields @timestamp, @logStream, level, message | filter message != "request"'
    " | sort @timestamp asc | limit 500",
}
"""By name. Fields are those of the application's log lines."""
