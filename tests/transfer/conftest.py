"""The command line as a user runs it, in app/, over both stores."""

import os
import subprocess
import sys
import time

import pytest

from comments.ids import TICKS, created_at, id_at
from comments.models import MAX_COMMENT
from comments.store import open_store
from tests.app.conftest import ROOT, dynamodb, store_url  # noqa: F401  # the stores, as fixtures

COMMAND = [sys.executable, "-m", "comments"]
TEXTS = [
    "plain",
    'quotes " \\ <b>&amp;</b>\n\ttwo lines',
    "jo\u00e3o \U0001f600 \u202e \u2028 \u2029.",
    "\U0001f600" * MAX_COMMENT,
    '{"id":"not one"}',
]


def start(*arguments, **options):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COMMENTS_")}
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        cwd=ROOT / "app",
        env=environ | options.pop("env", {}),
        stdin=options.pop("stdin", subprocess.PIPE),
        stdout=options.pop("stdout", subprocess.PIPE),
        stderr=options.pop("stderr", subprocess.PIPE),
        **options,
    )


def begun(process):
    """Wait until the process has written; without a buffer, which would keep what communicate() is to return."""
    return os.read(process.stdout.fileno(), 1)


def run(*arguments, stdin=b"", **options):
    """Run to the end; return exit status, stdout as bytes, stderr as text."""
    process = start(*arguments, **options)
    out, err = process.communicate(stdin, timeout=120)
    err = (err or b"").decode()
    assert "Traceback" not in err, err
    return process.returncode, out, err


def fail(*arguments, **options):
    """Run what must fail; return its one line."""
    status, _, err = run(*arguments, **options)
    assert status in {1, 2}
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def export(url):
    status, out, err = run("export", "--store", url)
    assert status == 0, err
    return out


def some_comments(count, *, threads=7):
    """Comments of the last day; every fifth one is held."""
    begin = int((time.time() - 86_000) * 1000) * TICKS
    made = []
    for number in range(count):
        tick = begin + number * 12_345
        text = f"{number} {TEXTS[number % len(TEXTS)]}"[:MAX_COMMENT] if number < 10 else f"{number} {'x' * 150}"
        comment = {
            "id": id_at(tick),
            "content_id": 1 + number % threads if number else 2**53 - 1,
            "email": f"user{number}@example.com",
            "comment": text,
            "created_at": created_at(tick),
        }
        made.append(comment | {"held": True} if number % 5 == 4 else comment)
    return made


def fill(url, comments):
    store = open_store(url)
    for first in range(0, len(comments), 500):
        store.restore(comments[first : first + 500])
    store.close()


@pytest.fixture
def other_url(tmp_path):
    return f"sqlite:///{tmp_path}/other.db"
