"""One signed request to DynamoDB and its answer: botocore's credentials and signature over kept connections.

boto3's own client takes three times the processor's time.
"""

import time
import zlib
from http.client import HTTPConnection, HTTPException, HTTPResponse, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from comments.store.dynamodb_endpoint import Endpoint
from comments.store.dynamodb_errors import NoAnswer, refusal

READ_SECONDS = 2.0
"""DynamoDB answers in milliseconds or not at all; a task that is short of processor time reads late."""

PIECE = 1024 * 1024
API = "DynamoDB_20120810"
OK = 200


class Wire:
    """The way to DynamoDB, and the connections that are kept; raises BotoCoreError when there is none."""

    def __init__(self) -> None:
        self._endpoint = Endpoint()
        self._path = urlsplit(self._endpoint.url).path
        self._idle: list[HTTPConnection] = []
        self.made = time.monotonic()

    def exchange(self, operation: str, body: bytes, *, end: float) -> Any:
        """Send one request and return the answer's JSON, until the time.monotonic() `end`; raises DynamoDBError."""
        headers = self._signed(operation, body)
        while True:
            try:
                connection, kept = self._idle.pop(), True
            except IndexError:
                connection, kept = self._endpoint.connection(), False
            try:
                answer, payload = _ask(connection, self._path, headers, body, end)
                break
            except (OSError, HTTPException) as error:
                connection.close()
                if isinstance(error, TimeoutError):
                    self.close()  # a kept one may have been cut off in silence, and the others with it
                elif kept:
                    continue  # it was closed while it lay idle
                raise NoAnswer(type(error).__name__, str(error), passes=True) from error
        if connection.sock is not None:
            self._idle.append(connection)
        checksum = answer.headers.get("x-amz-crc32")
        if checksum is not None and checksum != str(zlib.crc32(payload)):
            raise NoAnswer("ChecksumMismatch", "the answer arrived damaged", passes=True)
        if answer.status != OK:
            raise refusal(answer.status, payload)
        try:
            return orjson.loads(payload)
        except orjson.JSONDecodeError as error:
            raise NoAnswer("NoJSON", "the answer is not DynamoDB's", passes=True) from error

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _signed(self, operation: str, body: bytes) -> dict[str, str]:
        headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": f"{API}.{operation}"}
        request = AWSRequest("POST", self._endpoint.url, headers, body)
        try:
            credentials = self._endpoint.credentials.get_frozen_credentials()
            SigV4Auth(credentials, "dynamodb", self._endpoint.region).add_auth(request)
        except (BotoCoreError, RuntimeError) as error:  # botocore's word for refreshed ones that are expired as well
            raise NoAnswer(type(error).__name__, str(error)) from error
        return dict(request.headers.items())


def _ask(
    connection: HTTPConnection, path: str, headers: dict[str, str], body: bytes, end: float
) -> tuple[HTTPResponse, bytes]:
    """Read the whole answer; a socket's time-out is between two bytes, so that a trickle would have no end."""
    if connection.sock is None:
        connection.connect()
    connection.sock.settimeout(max(min(READ_SECONDS, end - time.monotonic()), 0.001))
    connection.request("POST", path, body, headers)
    answer = connection.getresponse()
    pieces = []
    while piece := answer.read1(PIECE):
        pieces.append(piece)
        if time.monotonic() > end:
            raise TimeoutError("the answer takes too long")
    payload = b"".join(pieces)
    if answer.length:
        raise IncompleteRead(payload, answer.length)
    answer.close()
    return answer, payload
