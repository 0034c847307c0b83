"""Repositories with git, and commands as a person without AWS settings runs them."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(folder: Path) -> str:
    """Commit whatever is there, and return the commit as image tags spell it."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a commit")
    return git(folder, "rev-parse", "--short=12", "HEAD")


def nobody(home: Path) -> dict[str, str]:
    """The environment of a person without AWS settings, and with no way out of this machine."""
    return {
        "HOME": str(home),
        "CONFIG_PACKAGE": os.environ["CONFIG_PACKAGE"],
        "PATH": f"{Path(sys.executable).parent}:{ROOT}/node_modules/.bin:/usr/local/bin:/usr/bin:/bin",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }


def run(module: str, *arguments: str, cwd: Path = ROOT, **options: Any) -> subprocess.CompletedProcess[str]:
    """The command as make calls it; both streams are one, as a person sees them."""
    command = [sys.executable, "-m", module, *arguments]
    options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, cwd=cwd, text=True, timeout=300, check=False, **options)
