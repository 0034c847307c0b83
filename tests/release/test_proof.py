"""What a release reads while it deploys, and what it says of one that ECS found good and its store does not answer."""

import threading
import time
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import pytest

from release import probe, proof
from release.aws import Aws
from release.errors import StoreSilentError
from release.probe import Probe
from tests.release.test_verify import HEALTHY, server

SILENT = (503, '{"status": "UNAVAILABLE", "message": "comments are temporarily unavailable; retry shortly"}')
GONE = (
    '{"logger": "comments.errors", "message": "the store failed: table comments-dev:'
    ' ResourceNotFoundException: Cannot do operations on a non-existent table"}'
)
OLD, NEW = "sha256:old", "sha256:new"


def test_a_stage_is_read_while_it_is_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its alarm on 5xx sees nothing otherwise where nobody comes by."""
    monkeypatch.setattr(probe, "PAUSE_SECONDS", 0.01)
    asked = threading.Event()
    monkeypatch.setattr(probe, "get", lambda url: asked.set() if url.startswith("http://a/api/comment/list/") else None)
    with Probe("http://a"):
        assert asked.wait(10)


def test_a_stage_that_answers_nothing_does_not_end_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PAUSE_SECONDS", 0.01)
    times = threading.Semaphore(0)

    def refuse(_url: str) -> None:
        times.release()
        raise ConnectionRefusedError

    monkeypatch.setattr(probe, "get", refuse)
    with Probe("http://a"):
        assert times.acquire(timeout=10)
        assert times.acquire(timeout=10)


def test_a_first_deployment_has_no_address_to_read_from() -> None:
    before = threading.active_count()
    with Probe(None):
        assert threading.active_count() == before


@pytest.mark.parametrize(
    ("before", "way_back"),
    [
        (NEW, "nothing was rolled back: the image is the one that ran before"),
        (OLD, "nothing was rolled back: what ran before is `make deploy ENV=dev TAG=dev-0123456789ab`"),
        (None, "nothing was rolled back: no other version has run here"),
    ],
)
def test_a_silent_store_is_named_with_the_way_back(
    monkeypatch: pytest.MonkeyPatch, before: str | None, way_back: str
) -> None:
    began = time.time()
    aws: Any = SimpleNamespace(
        stage=SimpleNamespace(name="dev"),
        platform=SimpleNamespace(check_containers=lambda *_, **__: None),
        environment={},
    )

    def errors(_aws: Aws, *, since: float) -> tuple[str, ...]:
        assert since >= began, "what failed before is not of this release"
        return (GONE, GONE)

    answers = partial(proof.verify.api_answers, store_seconds=0)
    monkeypatch.setattr(proof.verify, "api_answers", answers)
    monkeypatch.setattr(proof.verify, "running_tasks", lambda *_: [])
    monkeypatch.setattr(proof, "errors", errors)
    monkeypatch.setattr(
        proof, "images_of", lambda _: SimpleNamespace(tags=lambda _: ["0123456789ab", "dev-0123456789ab"])
    )
    with server(health=[HEALTHY], thread=SILENT) as url:
        monkeypatch.setattr(proof.stacks, "base_url", lambda _: url)
        with pytest.raises(StoreSilentError) as failed:
            proof.prove(cast("Aws", aws), NEW, lambda _: None, before=before)
    cause, back = failed.value.details
    assert cause.startswith("cause: there is no table comments-dev: restore it")
    assert back == way_back
