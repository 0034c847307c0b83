"""The yardstick: a bare Flask view that answers a constant, the bytes of the service's own page of 20 comments."""

import os
from pathlib import Path

from flask import Flask, Response

PAGE = Path(os.environ["BENCH_PAGE"]).read_bytes() if "BENCH_PAGE" in os.environ else b"[]"

app = Flask(__name__)


@app.get("/api/comment/list/<content_id>")
def list_comments(content_id: str) -> Response:  # noqa: ARG001  # the same route as the service's
    return Response(PAGE, content_type="application/json")
