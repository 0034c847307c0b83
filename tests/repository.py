"""Copies of this repository, git, and commands as a person without AWS settings runs them."""

import os
import shutil
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


def copy_working_tree(folder: Path) -> Path:
    """Make a clean repository with the files of the working tree, committed or not."""
    for path in git(ROOT, "ls-files", "--cached", "--others", "--exclude-standard").splitlines():
        if (ROOT / path).is_file():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / path, folder / path)
    git(folder, "init", "--quiet")
    commit_all(folder)
    return folder


class Clone:
    """A clone of the project, to which tests commit changes for another version."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        git(ROOT, "clone", "--quiet", str(ROOT), str(folder))

    def append(self, file: str, ending: str) -> None:
        path = self.folder / file
        path.write_text(path.read_text() + ending)
        commit_all(self.folder)

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new))
        commit_all(self.folder)

    def without_circuit_breaker(self) -> None:
        """Let ECS retry failing tasks, so that only the release ends the deployment, however slow the machine is."""
        file, alarms = "infra/constructs/fargate_service.py", "for alarm in rollback_alarms"
        self.replace(file, "FAILED_TASKS = 2", "FAILED_TASKS = 99")
        self.replace(file, f"{alarms}]", f"{alarms}[:1]]")  # without `latency`


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
    return subprocess.run(command, cwd=cwd, text=True, timeout=600, check=False, **options)
