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
MODERATED = {"COMMENTS_MODERATOR_TOKEN": TOKEN, "COMMENTS_HOLD": "all"}


@pytest.mark.parametrize(
    ("store_url", "settings"),
    [("dynamodb", MODERATED), ("sqlite", MODERATED)],
    ids=["dynamodb", "sqlite"],
    indirect=["store_url"],
)
def test_schemathesis_finds_nothing(
    serve: Serve, store_url: str, settings: dict[str, str], tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    server = serve(COMMENTS_STORE=store_url, **settings)
    examples = 3 if pytestconfig.getoption("--quick") else 8
    command = [SCHEMATHESIS, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
    command += ["--checks", "all", "--max-examples", str(examples), "--seed", "1"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (generated,) = re.findall(r"(\d+) generated", ran.stdout)
    assert int(generated) > 200, "Schemathesis did not understand the document"
    assert '"level":"error"' not in server.log.read_text()
