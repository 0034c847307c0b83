"""What a test needs of the machine that it runs on."""

import os

import pytest


def needs(condition: object, reason: str) -> None:
    """Say which test this machine cannot run; where everything has to run, fail."""
    if not condition:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
