"""One server for all hostile requests, as it is shipped, with every setting that gives them something to attack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.conftest import Server, serving

TOKEN = "moderator-of-the-test"
FRIEND = "https://friend.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("hostile")
    settings = {
        "COMMENTS_MODERATOR_TOKEN": TOKEN,
        "COMMENTS_CORS_ORIGINS": FRIEND,
        "COMMENTS_TRUSTED_PROXIES": "1",
        "COMMENTS_METRICS": "comments/hostile",
    }
    with serving(folder, settings) as running:
        yield running
