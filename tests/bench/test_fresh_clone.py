"""Each benchmark is a command of its own: none needs what another one has made before."""

from pathlib import Path

import pytest

from bench import engine, server
from bench.programs import service


def test_a_server_makes_the_folder_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "WORK", tmp_path / "build/bench")
    with server.serving(service("fresh", f"sqlite:///{tmp_path}/comments.db")):
        assert (tmp_path / "build/bench/fresh.log").exists()


def test_the_engine_makes_the_folder_of_its_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WORK", tmp_path / "build/bench")
    with engine.service_on_dynamodb():
        assert (tmp_path / "build/bench/engine.log").exists()
