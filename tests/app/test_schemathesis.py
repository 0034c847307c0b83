"""Schemathesis against a running server: each response is one that the OpenAPI document describes."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.conftest import ROOT, Server

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
CONFIG = Path(__file__).with_name("schemathesis.toml")
MODERATED = {"COMMENTS_MODERATOR_TOKEN": "a-token-that-nobody-guesses", "COMMENTS_MODERATION": "true"}


RUNS = [pytest.param({}, 20, 250, id="default"), pytest.param(MODERATED, 20, 400, id="moderated")]
"""Settings of the service, examples per operation, and the cases that Schemathesis generates from them at least.

It generates about 310 and 540. Far fewer mean that it did not understand the document.
"""
QUICK_RUNS = [pytest.param({}, 3, 150, id="default")]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    quick = metafunc.config.getoption("--quick")
    metafunc.parametrize(("settings", "examples", "expected_cases"), QUICK_RUNS if quick else RUNS)


def test_schemathesis_finds_nothing(
    serve: Callable[..., Server],
    store_url: str,
    *,
    tmp_path: Path,
    settings: dict[str, str],
    examples: int,
    expected_cases: int,
) -> None:
    server = serve(COMMENTS_STORE=store_url, **settings)
    command = [SCHEMATHESIS, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", str(examples), "--seed", "1"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated
    assert int(generated[1]) >= expected_cases
    assert '"level":"error"' not in server.log.read_text()
