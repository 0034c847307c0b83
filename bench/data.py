"""The comments that are stored: threads of 20, made by the service's own import."""

import os
import random
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import orjson

from bench.machine import ROOT, WORK
from comments.ids import TICKS, created_at, id_at

PAGE = 20
"""Comments of a thread: the page that is asked for."""

SECOND = 1000 * TICKS
FIRST = 1_767_225_600 * SECOND
"""1 January 2026: comments lie a second apart from then on."""

WORDS = ("the", "bridge", "over", "a", "river", "was", "closed", "for", "weeks", "and", "nobody", "told", "me", "why")


def comment(number: int) -> dict[str, object]:
    """Return the comment of this number, always the same."""
    seeded = random.Random(number)  # noqa: S311  # text, no secret
    tick = FIRST + number * SECOND
    return {
        "id": id_at(tick, random=number),
        "content_id": number // PAGE + 1,
        "email": f"visitor{number % 977}@example.com",
        "comment": " ".join(seeded.choices(WORDS, k=16)),
        "created_at": created_at(tick),
    }


def database(stored: int) -> Path:
    """Return a SQLite file with so many comments, which is kept for the next run."""
    path = WORK / f"comments-{stored}.db"
    if not path.exists():
        unfinished = path.with_suffix(".new")
        for left in WORK.glob(f"{unfinished.name}*"):
            left.unlink()
        fill(f"sqlite:///{unfinished}", stored, os.environ)
        unfinished.rename(path)
    return path


def fill(store: str, stored: int, environ: Mapping[str, str]) -> None:
    """Import so many comments into a store, thread after thread."""
    command = [sys.executable, "-m", "comments", "import", "-", "--store", store]
    with subprocess.Popen(command, cwd=ROOT / "app", env=environ, stdin=subprocess.PIPE) as importing:
        if importing.stdin is None:
            raise RuntimeError("a pipe was asked for")
        for number in range(stored):
            importing.stdin.write(orjson.dumps(comment(number), option=orjson.OPT_APPEND_NEWLINE))
    if importing.returncode:
        raise SystemExit(f"the import into {store} failed")
