"""Where comments are stored. base.py has the interface; sqlite.py and dynamodb.py implement it."""

import os

from comments.stores.base import CommentStore, Page

__all__ = ["CommentStore", "Page", "open_store"]


def open_store(url: str, *, read_only: bool = False, patient: bool = False) -> CommentStore:
    """Open sqlite:///PATH or dynamodb://TABLE. A read-only SQLite store works on a read-only file system.

    A patient DynamoDB store, for commands, waits while the table is throttled.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        from comments.stores.sqlite import SQLiteStore  # noqa: PLC0415  # only the one in use

        return SQLiteStore(rest.removeprefix("/"), read_only=read_only)
    from comments.stores.dynamodb import DynamoDBStore  # noqa: PLC0415  # boto3 is slow to import

    return DynamoDBStore(rest, region=os.environ.get("AWS_REGION"), patient=patient)
