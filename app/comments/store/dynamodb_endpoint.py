"""Where DynamoDB is, who asks, and over what connection: found by botocore where boto3 finds it."""

import os
import ssl
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from botocore.exceptions import NoCredentialsError
from botocore.httpsession import ProxyConfiguration, where
from botocore.session import Session
from botocore.utils import get_environ_proxies

CONNECT_SECONDS = 1.0
"""The endpoint is in the same region."""


class Endpoint:
    """Region, address and credentials from the environment, the shared files, or a task's role."""

    def __init__(self) -> None:
        """Raises BotoCoreError when region or credentials are missing."""
        session = Session()
        region = session.get_config_variable("region") or os.environ.get("AWS_REGION")
        # Made for what it finds out: partition, FIPS, AWS_ENDPOINT_URL; nothing is sent with it.
        client = session.create_client("dynamodb", region)
        self.url = f"{client.meta.endpoint_url.rstrip('/')}/"
        self.region = client.meta.region_name
        client.close()
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        self.credentials = credentials
        bundle = session.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or where()
        self._tls = ssl.create_default_context(cafile=bundle) if self.url.startswith("https:") else None

    def connection(self) -> HTTPConnection:
        """Make a connection; with TLS through HTTPS_PROXY, if there is one and it speaks plain HTTP itself."""
        url = urlsplit(self.url)
        host = url.hostname or ""
        if self._tls is None:
            return HTTPConnection(host, url.port, timeout=CONNECT_SECONDS)
        proxies = ProxyConfiguration(get_environ_proxies(self.url))
        proxy = proxies.proxy_url_for(self.url)
        if not proxy:
            return HTTPSConnection(host, url.port, timeout=CONNECT_SECONDS, context=self._tls)
        way = urlsplit(proxy)
        connection = HTTPSConnection(way.hostname or "", way.port or 80, timeout=CONNECT_SECONDS, context=self._tls)
        connection.set_tunnel(host, url.port, proxies.proxy_headers_for(proxy))
        return connection
