"""Brings a playground up: the server, CDK's bootstrap, then the same release command as for AWS."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from infra import execution_policy
from infra.stages import ACCESS_STACK
from playground import engine, preflight, processes
from playground.client import answers
from playground.state import ACCOUNT, PROJECT, REGION, Playground, PlaygroundError

START_SECONDS = 30.0


def bring_up(playground: Playground, note: Callable[[str], None]) -> None:
    """From nothing, or from a playground that runs already, to a deployed service; raises PlaygroundError."""
    preflight.require_docker()
    preflight.require_tools()
    engine.require_engine()
    if preflight.is_running(playground):
        note(f"already up in {playground.folder}")
    else:
        preflight.require_ports(playground)
        note("starting the server")
        start_server(playground)
    if not playground.prepared_mark.exists():
        prepare_account(playground, note)
    released = subprocess.run([sys.executable, "-m", "release", "playground"], cwd=PROJECT, check=False)
    if released.returncode:
        raise PlaygroundError("the release failed; the playground is up for a look, `make playground-down` ends it")


def own_environment() -> dict[str, str]:
    """This process's environment without any AWS setting of its user: nothing here may reach the real AWS."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return clean | {"PATH": preflight.tools_path()}


def start_server(playground: Playground) -> None:
    """Start the server in the background and wait until it answers."""
    playground.scratch.mkdir(parents=True)
    variables = playground.client_environment()
    playground.environment_file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    engine_port = engine.start_engine(playground)
    environment = own_environment() | variables
    environment |= {
        "AUTH": "true",
        "GATEWAY_PORT": str(playground.gateway_port),
        "IOT_MTLS_ENABLED": "0",  # it would listen on every address
        "PLAYGROUND_DYNAMODB_PORT": str(engine_port),
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_DOCKER_TIMEOUT": "120",  # a loaded machine is slow, not broken
        "MINISTACK_HOSTNAME": str(playground.folder),  # part of the label by which MiniStack knows its containers
        "MINISTACK_REGION": REGION,
        "PLAYGROUND_DIR": str(playground.folder),
        "PLAYGROUND_GATEWAY_PORT": str(playground.gateway_port),
        "PLAYGROUND_PORT": str(playground.balancer_port),
        "PYTHONUNBUFFERED": "1",
        "TMPDIR": str(playground.scratch),
    }
    with playground.log_file.open("w") as log:
        server = subprocess.Popen(
            [str(preflight.INTERPRETER), "-m", "playground.server", f"--{processes.mark(playground)}"],
            cwd=PROJECT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal is not meant for it
        )
    deadline = time.monotonic() + START_SECONDS
    while not answers(variables["AWS_ENDPOINT_URL"]):
        if server.poll() is not None or time.monotonic() > deadline:
            last = (playground.log_file.read_text().strip().splitlines() or ["no output"])[-1]
            raise PlaygroundError(f"the server did not start ({last}); see {playground.log_file}")
        time.sleep(0.1)
    engine.wait_for_engine(playground, engine_port)


def prepare_account(playground: Playground, note: Callable[[str], None]) -> None:
    """What is done once in every account: who may deploy, then CDK's bootstrap under CloudFormation's policy."""
    note("deploying the access stack")
    options = ["-c", "stage=playground", "--output", str(playground.scratch / "cdk.out")]
    cdk(playground, "deploy", ACCESS_STACK, *options, "--require-approval", "never")
    note("bootstrapping CDK")
    policy = f"arn:aws:iam::{ACCOUNT}:policy/{execution_policy.NAME}"
    place = f"aws://{ACCOUNT}/{REGION}"
    cdk(playground, "bootstrap", place, "--app", "", "--cloudformation-execution-policies", policy)
    playground.prepared_mark.touch()


def cdk(playground: Playground, *arguments: str) -> None:
    """Run the CDK CLI against the playground; raises PlaygroundError with its first error."""
    environment = (
        own_environment() | playground.client_environment() | {"CDK_VALIDATION": "false"}
    )  # `make check`'s job
    finished = subprocess.run(
        ["cdk", *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    if finished.returncode:
        output = (finished.stdout + finished.stderr).strip()
        with playground.log_file.open("a") as log:
            log.write(f"{output}\n")
        lines = [line for line in output.splitlines() if "error" in line.lower()] or ["no error named"]
        raise PlaygroundError(f"cdk {arguments[0]} failed ({lines[0].strip()}); see {playground.log_file}")
