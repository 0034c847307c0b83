"""What the tests of the release command share: a copy of the project to release from, and the command itself."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TOOLS = [str(Path(sys.executable).parent), str(PROJECT / "node_modules" / ".bin"), "/usr/local/bin", "/usr/bin", "/bin"]


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def commit_all(folder: Path) -> str:
    """Commit whatever is there, and return the commit as image tags spell it."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "a commit")
    return git(folder, "rev-parse", "--short=12", "HEAD").strip()


def copy_of_the_project(folder: Path) -> Path:
    """A clean repository with the files of the working tree, committed or not."""
    for path in git(PROJECT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (PROJECT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / path, folder / path)
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


def nobody(home: Path) -> dict[str, str]:
    """The environment of a person without AWS settings, and with no way out of this machine."""
    return {
        "HOME": str(home),
        "PATH": os.pathsep.join(TOOLS),
        "AWS_EC2_METADATA_DISABLED": "true",
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }


def run(module: str, *arguments: str, cwd: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """The command as make calls it; both streams are one, as a person sees them."""
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
