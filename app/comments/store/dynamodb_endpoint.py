"""Where DynamoDB is, who asks, and over what connection: found by botocore where boto3 finds it."""

import os
import ssl
from http.client import HTTPConnection, HTTPSConnection
from urllib.parse import urlsplit

from botocore.configprovider import ConfiguredEndpointProvider
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import InvalidEndpointConfigurationError, NoCredentialsError, NoRegionError
from botocore.httpsession import ProxyConfiguration, where
from botocore.session import Session
from botocore.utils import get_environ_proxies, is_valid_endpoint_url, validate_region_name

CONNECT_SECONDS = 1.0
"""The endpoint is in the same region."""


class Endpoint:
    """Region, address and credentials from the environment, the shared files, or a task's role."""

    def __init__(self) -> None:
        """Raises BotoCoreError when region or credentials are missing, or an address is none."""
        session = Session()
        region = session.get_config_variable("region") or os.environ.get("AWS_REGION")
        if not region:
            raise NoRegionError
        validate_region_name(region)
        self.region: str = region
        self.url = f"{_address(session, region).rstrip('/')}/"
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


def _address(session: Session, region: str) -> str:
    """Return what a client of botocore would ask, without making one: that takes 0.1 s, and 12 MB for good."""
    if not session.get_config_variable("ignore_configured_endpoint_urls"):
        configured = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "dynamodb").provide()
        if configured and not is_valid_endpoint_url(configured):
            raise InvalidEndpointConfigurationError(msg=f"AWS_ENDPOINT_URL is no address: {configured}")
        if configured:
            return str(configured)
    data = session.get_component("data_loader")
    rules = EndpointProvider(data.load_service_model("dynamodb", "endpoint-rule-set-1"), data.load_data("partitions"))
    variants = {
        "UseFIPS": bool(session.get_config_variable("use_fips_endpoint")),
        "UseDualStack": bool(session.get_config_variable("use_dualstack_endpoint")),
    }
    return str(rules.resolve_endpoint(Region=region, **variants).url)
