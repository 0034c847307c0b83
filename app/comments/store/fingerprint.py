"""What is remembered of an idempotency key: hashes, so that neither a client's key nor a deleted comment stays."""

import hashlib

import orjson

from comments.models import NewComment


def of_key(idempotency_key: str) -> str:
    return hashlib.sha256(idempotency_key.encode()).hexdigest()


def of_comment(new: NewComment) -> str:
    """Identify a comment as it was parsed, so that a retry may differ in white space and in the order of its keys."""
    return hashlib.sha256(orjson.dumps([new.content_id, new.email, new.comment])).hexdigest()
