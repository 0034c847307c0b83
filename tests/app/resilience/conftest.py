"""A server that tests share."""

from collections.abc import Iterator

import pytest

from tests.app.support import Server, serving


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that tests share, with every optional feature that an attacker could use."""
    settings = {
        "COMMENTS_MODERATOR_TOKEN": "moderator-of-the-test",
        "COMMENTS_CORS_ORIGINS": "https://friend.example",
        "COMMENTS_TRUSTED_PROXIES": "1",
    }
    with serving(tmp_path_factory.mktemp("server"), settings) as running:
        yield running
