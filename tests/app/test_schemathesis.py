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


@pytest.mark.parametrize(("settings", "expected_cases"), [({}, 200), (MODERATED, 300)], ids=["default", "moderated"])
def test_schemathesis_finds_nothing(
    serve: Callable[..., Server],
    store_url: str,
    *,
    tmp_path: Path,
    pytestconfig: pytest.Config,
    settings: dict[str, str],
    expected_cases: int,
) -> None:
    server = serve(COMMENTS_STORE=store_url, **settings)
    # The stateful phase is several times faster without the responses of the others, which it would learn from.
    examples = 5 if pytestconfig.getoption("--quick") else 20
    generated = sum(
        run_schemathesis(server, phases, examples, tmp_path) for phases in ("examples,coverage,fuzzing", "stateful")
    )
    assert generated >= expected_cases
    assert '"level":"error"' not in server.log.read_text()


def run_schemathesis(server: Server, phases: str, examples: int, folder: Path) -> int:
    """Return the number of generated cases."""
    command = [SCHEMATHESIS, "--config-file", str(CONFIG), "run", f"{server.url}/openapi.json"]
    command += ["--checks", "all", "--phases", phases, "--max-examples", str(examples), "--seed", "1"]
    environ = os.environ | {"SCHEMATHESIS_HOOKS": "tests.app.schemathesis_hooks", "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=300, check=False)
    print(ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    generated = re.search(r"(\d+) generated", ran.stdout)
    assert generated
    return int(generated[1])
