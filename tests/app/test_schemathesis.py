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


@pytest.mark.parametrize(("settings", "expected_cases"), [({}, 250), (MODERATED, 400)], ids=["default", "moderated"])
def test_schemathesis_finds_nothing(
    serve: Callable[..., Server], store_url: str, tmp_path: Path, settings: dict[str, str], expected_cases: int
) -> None:
    server = serve(COMMENTS_STORE=store_url, **settings)
    command = [SCHEMATHESIS, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", "20", "--seed", "1"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated
    assert int(generated[1]) >= expected_cases
    assert '"level":"error"' not in server.log.read_text()
