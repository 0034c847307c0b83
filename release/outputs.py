"""Hands a release's results to the steps after it in a workflow of GitHub Actions."""

from __future__ import annotations

import os
from pathlib import Path


def publish(**results: str) -> None:
    """Append to the file that GitHub names in GITHUB_OUTPUT; elsewhere there is nobody to tell."""
    file = os.environ.get("GITHUB_OUTPUT")
    if file:
        with Path(file).open("a") as stream:
            stream.writelines(f"{name}={value}\n" for name, value in results.items())
