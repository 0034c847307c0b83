"""A soak of some seconds, and what it complains of."""

import subprocess
import sys
from collections import Counter

import pytest

from bench.soak import Look, complaints
from bench.soak_target import Held
from tests.conftest import docker_is_missing
from tests.machine import needs

BEFORE = {"anonymous": 50_000_000, "pss": 60_000_000, "files": 30, "threads": 11}


@pytest.mark.parametrize("where", ["container", "process"])
def test_a_short_soak_prints_what_the_server_holds_and_finds_no_leak(where):
    if where == "container":
        needs(not (why := docker_is_missing()), why)
    options = ["--process"] if where == "process" else []
    soak = subprocess.run(
        [sys.executable, "-m", "bench.soak", "--minutes=0.04", *options],
        capture_output=True, text=True, timeout=180, check=False,
    )  # fmt: skip
    assert soak.returncode == 0, soak.stderr
    rows = [line.strip("| ").split(" | ") for line in soak.stdout.splitlines() if line.startswith("|")][2:]
    assert len(rows) == 7
    assert int(rows[-1][1].replace(",", "")) > int(rows[0][1].replace(",", ""))
    assert all(float(row[2]) > 20 for row in rows)


@pytest.mark.parametrize(
    ("after", "wrong", "said"),
    [
        ({"anonymous": 53_000_000}, {}, "memory grew by 6.0%, more than 5%"),
        ({"files": 31}, {}, "1 more descriptors at the end"),
        ({"threads": 13}, {}, "2 more threads at the end"),
        ({}, {"503 instead of 200": 3}, "3 times 503 instead of 200"),
    ],
)
def test_a_leak_and_a_wrong_answer_are_complained_of(after, wrong, said):
    first, last = Look(5, 100, Held(**BEFORE)), Look(30, 900, Held(**BEFORE | after))
    assert list(complaints(first, last, Counter(wrong))) == [said]


def test_less_of_everything_is_no_complaint():
    first, last = Look(5, 100, Held(**BEFORE)), Look(30, 900, Held(**dict.fromkeys(BEFORE, 1)))
    assert list(complaints(first, last, Counter())) == []
