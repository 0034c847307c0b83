"""One signed request to DynamoDB and its answer: botocore's credentials and signature over kept connections.

boto3's own client takes three times the processor's time.
"""

import os
import ssl
import time
import zlib
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import orjson
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.httpsession import ProxyConfiguration, where
from botocore.session import Session
from botocore.utils import get_environ_proxies

from comments.store.dynamodb_errors import NoAnswer, refusal

CONNECT_SECONDS = 1.0
"""The endpoint is in the same region."""

READ_SECONDS = 2.0
"""DynamoDB answers in milliseconds or not at all; a task that is short of processor time reads late."""

PIECE = 1024 * 1024
API = "DynamoDB_20120810"
OK = 200


class Wire:
    """The way to DynamoDB, found where boto3 finds it: in the environment, the shared files, a task's role."""

    def __init__(self) -> None:
        """Raises BotoCoreError when region or credentials are missing."""
        session = Session()
        region = session.get_config_variable("region") or os.environ.get("AWS_REGION")
        # Made for what it finds out: partition, FIPS, AWS_ENDPOINT_URL; nothing is sent with it.
        client = session.create_client("dynamodb", region)
        self._url = f"{client.meta.endpoint_url}/"
        self._region = client.meta.region_name
        client.close()
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        self._credentials = credentials
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or where()
        self._tls = ssl.create_default_context(cafile=bundle) if self._url.startswith("https:") else None
        self._idle: list[HTTPConnection] = []
        self.made = time.monotonic()

    def exchange(self, operation: str, body: bytes, *, end: float) -> Any:
        """Send one request and return the answer's JSON, until the time.monotonic() `end`; raises DynamoDBError."""
        headers = self._signed(operation, body)
        while True:
            try:
                connection, kept = self._idle.pop(), True
            except IndexError:
                connection, kept = self._connection(), False
            try:
                answer, payload = _ask(connection, urlsplit(self._url).path, headers, body, end)
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
        request = AWSRequest("POST", self._url, headers, body)
        try:
            SigV4Auth(self._credentials.get_frozen_credentials(), "dynamodb", self._region).add_auth(request)
        except (BotoCoreError, RuntimeError) as error:  # botocore's word for refreshed ones that are expired as well
            raise NoAnswer(type(error).__name__, str(error)) from error
        return dict(request.headers.items())

    def _connection(self) -> HTTPConnection:
        """Make a connection; with TLS through HTTPS_PROXY, if there is one and it speaks plain HTTP itself."""
        url = urlsplit(self._url)
        host = url.hostname or ""
        if self._tls is None:
            return HTTPConnection(host, url.port, timeout=CONNECT_SECONDS)
        proxies = ProxyConfiguration(get_environ_proxies(self._url))
        proxy = proxies.proxy_url_for(self._url)
        if not proxy:
            return HTTPSConnection(host, url.port, timeout=CONNECT_SECONDS, context=self._tls)
        way = urlsplit(proxy)
        connection = HTTPSConnection(way.hostname or "", way.port or 80, timeout=CONNECT_SECONDS, context=self._tls)
        connection.set_tunnel(host, url.port, proxies.proxy_headers_for(proxy))
        return connection


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
