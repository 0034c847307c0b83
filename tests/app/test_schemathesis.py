"""Schemathesis against a running server: each response is one that the OpenAPI document describes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.app.support import ROOT, TOKEN, Serve

SCHEMATHESIS = str(Path(sys.executable).with_name("schemathesis"))
CONFIG = Path(__file__).with_name("schemathesis.toml")


@pytest.mark.parametrize(
    ("store_url", "phases"),
    [("dynamodb", "examples,coverage"), ("sqlite", "examples,coverage,fuzzing")],
    indirect=["store_url"],
)
def test_schemathesis_finds_nothing(serve: Serve, store_url: str, phases: str, tmp_path: Path) -> None:
    """Fuzzing takes most of the time, and few of its requests reach the store."""
    server = serve(COMMENTS_STORE=store_url, COMMENTS_MODERATOR_TOKEN=TOKEN, COMMENTS_HOLD="all")
    command = [SCHEMATHESIS, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json", "--phases", phases]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (generated,) = re.findall(r"(\d+) generated", ran.stdout)
    assert int(generated) > 200, "Schemathesis did not understand the document"
    assert '"level":"error"' not in server.log.read_text()
