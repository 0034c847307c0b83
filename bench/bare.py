"""The baseline: a bare Flask app that makes the same store calls as the service and does nothing else."""

import os

from flask import Flask, Response, jsonify, request

from comments.comment import NewComment
from comments.stores import open_store

app = Flask(__name__)
store = open_store(os.environ["COMMENTS_STORE"])


@app.get("/api/comment/list/<int:content_id>")
def list_comments(content_id: int) -> Response:
    return jsonify(store.list_comments(content_id, limit=1000).comments)


@app.post("/api/comment/new")
def create_comment() -> Response:
    return jsonify(store.add(NewComment.model_construct(**request.get_json())))
