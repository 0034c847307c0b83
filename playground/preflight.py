"""What must be true before a playground starts; each refusal is one line that says what to do."""

import errno
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from playground.client import answers
from playground.state import PROJECT, Playground, PlaygroundError

DOCKER_SECONDS = 20
INTERPRETER = PROJECT / ".venv-playground" / "bin" / "python"


def require_docker() -> None:
    """A daemon that answers; MiniStack without one would claim to run tasks."""
    if shutil.which("docker") is None:
        raise PlaygroundError("Docker is missing: the playground runs the service's tasks as containers; install it")
    command = ["docker", "version", "--format", "{{.Server.Os}} {{.Server.KernelVersion}}"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PlaygroundError(f"the Docker daemon gives no answer within {DOCKER_SECONDS} s; restart it") from None
    if asked.returncode:
        reason = (asked.stderr.strip().splitlines() or ["no answer"])[-1]
        raise PlaygroundError(f"the Docker daemon does not answer; start it, then try again ({reason})")
    if os.environ.get("DOCKER_HOST", "unix://").split(":")[0] != "unix":
        raise PlaygroundError("DOCKER_HOST names another machine, whose containers the balancer cannot reach; unset it")
    if "linuxkit" in asked.stdout:
        raise PlaygroundError(
            "Docker Desktop keeps its containers' addresses to itself, and the balancer needs them: "
            "run the playground on Linux, or inside WSL or a Linux machine with Docker of its own"
        )


def require_tools() -> None:
    if not INTERPRETER.exists():
        raise PlaygroundError(f"{INTERPRETER} is missing; start the playground with `make playground`")
    if shutil.which("cdk", path=tools_path()) is None:
        raise PlaygroundError("the CDK CLI is missing; `make setup` installs it")


def tools_path() -> str:
    """PATH with the folders into which the set-up installs Node and the CDK CLI, in case make has not named them."""
    folders = [str(Path(sys.executable).parent), str(PROJECT / "node_modules" / ".bin")]
    return os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def is_running(playground: Playground) -> bool:
    """Whether this folder's playground serves; a folder whose server is gone is refused."""
    if not playground.folder.exists():
        return False
    try:
        lines = playground.environment_file.read_text().splitlines()
    except FileNotFoundError:
        lines = []
    endpoint = dict(line.split("=", 1) for line in lines if "=" in line).get("AWS_ENDPOINT_URL")
    if endpoint and answers(endpoint):
        return True
    raise PlaygroundError(
        f"{playground.folder} is left over from a playground that is gone; run `make playground-down`, then try again"
    )


def require_ports(playground: Playground) -> None:
    """Both ports free, on every address that the server will bind."""
    for variable, port in (
        ("PLAYGROUND_GATEWAY_PORT", playground.gateway_port),
        ("PLAYGROUND_PORT", playground.balancer_port),
    ):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
                raise PlaygroundError(f"port {port} {why}; free it, or choose another with {variable}=PORT") from None
