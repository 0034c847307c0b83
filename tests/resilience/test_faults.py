"""The store misbehaves in each way once; `python -m bench.faults` is the long version."""

from urllib.parse import urlsplit

import pytest

from bench.faults.observe import Observer
from bench.faults.proxy import FAULTS, Proxy
from tests.app.conftest import serving

TABLE = "faults"


@pytest.fixture(scope="module")
def proxy(dynamodb):
    with Proxy(urlsplit(dynamodb).port) as running:
        yield running
        running.shutdown()


@pytest.fixture(scope="module")
def observer(proxy, tmp_path_factory):
    """One service for all faults: whichever came before, it has to be well again without a restart."""
    from comments.store.dynamodb import create_table

    create_table(TABLE)
    store = {"COMMENTS_STORE": f"dynamodb://{TABLE}", "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{proxy.port}"}
    with serving(tmp_path_factory.mktemp("faults"), store) as server:
        watching = Observer(server.port, rounds=1)
        assert set(watching.watch(lambda: None, lambda: None).statuses) == {200}
        yield watching


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_store_is_503_soon_and_nothing_else_waits_for_it(observer, proxy, fault):
    seen = observer.watch(lambda: proxy.change(fault), lambda: proxy.change(""))
    assert seen.wrong == []
    assert set(seen.statuses) <= {200, 503}
    assert (503 in seen.statuses) == (fault != "delay")
