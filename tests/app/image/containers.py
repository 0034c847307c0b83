"""Commands of Docker."""

import subprocess

from tests.app.support import ROOT, wait_until
from tests.client import ask


def docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout.strip()


def wait_for(url: str) -> None:
    wait_until(lambda: ask(f"{url}/healthz").status == 200)
