"""The original's design: comments in a dict, in the memory of the one sync worker, gone when it ends."""

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import Flask, Response, jsonify, request
from flask.typing import ResponseReturnValue

app = Flask(__name__)
comments: defaultdict[int, list[dict[str, Any]]] = defaultdict(list)


@app.post("/api/comment/new")
def new() -> Response:
    given = request.get_json()
    added = {"id": str(uuid4()), "created_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
    comments[given["content_id"]].append(added | given)
    message = f"comment created and associated with content_id {given['content_id']}"
    return jsonify({"status": "SUCCESS", "message": message})


@app.get("/api/comment/list/<int:content_id>")
def list_comments(content_id: int) -> ResponseReturnValue:
    if content_id not in comments:
        return jsonify({"status": "NOT-FOUND", "message": f"content_id {content_id} not found"}), 404
    return jsonify(comments[content_id])
