"""Starting and removing a playground: actionable errors, and complete removal even of a partial playground."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from playground.down import docker, image_names, processes_of
from playground.state import Playground
from playground.up import free_port
from tests.app.playground.cloud import Running, playground_command
from tests.machine import needs

LISTEN = "0A"  # Linux: value of the state column in /proc/net/tcp


def variables_of(playground: Playground) -> dict[str, str]:
    return {
        "PLAYGROUND_DIR": str(playground.folder),
        "PLAYGROUND_GATEWAY_PORT": str(playground.gateway_port),
        "PLAYGROUND_PORT": str(playground.load_balancer_port),
    }


def command(playground: Playground, name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return playground_command(name, **(variables_of(playground) | variables))


def containers(playground: Playground) -> list[str]:
    return docker("ps", "--all", "--quiet", "--filter", f"label={playground.label}")


def leftovers(playground: Playground) -> list[object]:
    folder = [playground.folder] if playground.folder.exists() else []
    return [*processes_of(playground), *containers(playground), *image_names(playground.registry), *folder]


@pytest.fixture
def other(docker: None, tmp_path: Path) -> Iterator[Playground]:  # noqa: ARG001  # needs Docker
    """A playground in a separate folder, independent of any other playground on this machine."""
    one = Playground(tmp_path / "state", free_port(), free_port())
    yield one
    command(one, "down")


def only_line(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    (line,) = finished.stderr.splitlines()
    return line


@pytest.mark.parametrize("variable", ["PLAYGROUND_GATEWAY_PORT", "PLAYGROUND_PORT"])
def test_a_port_that_is_taken_is_named_with_its_variable(other: Playground, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = only_line(command(other, "up", **{variable: port}))
    assert f"port {port}" in line
    assert f"{variable}=PORT" in line
    assert leftovers(other) == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("PLAYGROUND_PORT", "http", "PLAYGROUND_PORT='http'"),
        ("PATH", "/nonexistent", "install it"),
        ("DOCKER_HOST", "unix:///nonexistent/docker.sock", "start it"),
    ],
    ids=["invalid port", "no docker", "no daemon"],
)
def test_what_is_missing_is_named_in_one_line(other: Playground, variable: str, value: str, message: str) -> None:
    assert message in only_line(command(other, "up", **{variable: value}))
    assert leftovers(other) == []


def test_a_stale_folder_is_refused_until_it_is_taken_down(other: Playground) -> None:
    other.folder.mkdir()
    other.environment_file.write_text(f"AWS_ENDPOINT_URL=http://127.0.0.1:{other.gateway_port}\n")
    assert "make playground-down" in only_line(command(other, "up"))
    assert command(other, "down").returncode == 0
    assert leftovers(other) == []


def test_down_keeps_files_it_did_not_create(other: Playground) -> None:
    other.folder.mkdir()
    (other.folder / "thesis.txt").write_text("all of it")
    assert "thesis.txt" in only_line(command(other, "down"))
    assert (other.folder / "thesis.txt").read_text() == "all of it"
    (other.folder / "thesis.txt").unlink()


def test_down_without_a_playground_succeeds_and_leaves_the_images_of_another(other: Playground) -> None:
    image = f"{other.registry}/comments:1"
    subprocess.run(["docker", "import", "-", image], input=bytes(1024), check=True, capture_output=True)
    assert command(other, "down").returncode == 0
    assert docker("image", "ls", "--quiet", image)
    docker("rmi", image)
    assert command(other, "status").returncode == 1


def test_closing_the_terminal_ends_a_start_with_the_tools_that_it_runs(other: Playground) -> None:
    """Its output ends when the last process that writes to it has ended."""
    start = Running("playground", "up", variables=os.environ | variables_of(other))
    start.until("==> CDK's bootstrap")
    start.process.send_signal(signal.SIGHUP)
    ended = start.finished()
    assert ended.returncode == 130, ended.stdout + ended.stderr
    assert "release interrupted" in ended.stderr
    assert "make playground-down" in ended.stderr
    assert command(other, "down").returncode == 0
    assert leftovers(other) == []


@pytest.fixture
def shared(playground: dict[str, str], was_up: bool) -> Playground:  # noqa: ARG001  # needs a running playground
    """The playground shared with earlier tests; this file removes it."""
    needs(not was_up, "the playground was up before the tests, which leave it as it is")
    return Playground.from_environment()


def test_it_listens_on_loopback_and_the_bridge_alone(shared: Playground) -> None:
    (subnet,) = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")
    addresses = {address for process in processes_of(shared) for address in listening(process)}
    assert "127.0.0.1" in addresses
    assert all(ip_address(address) in ip_network(subnet) for address in addresses - {"127.0.0.1"})


def test_down_removes_a_partial_playground(shared: Playground) -> None:
    assert len(processes_of(shared)) == 2
    assert image_names(shared.registry)
    for process in processes_of(shared):
        os.kill(process, signal.SIGKILL)
    docker("rm", "--force", containers(shared)[0])
    shared.environment_file.unlink()
    shared.log_file.unlink()
    assert "make playground-down" in only_line(command(shared, "up"))
    assert command(shared, "down").returncode == 0
    assert leftovers(shared) == []


def listening(process: int) -> set[str]:
    """Return the addresses on which a process listens for TCP connections; 0.0.0.0 also stands for all of IPv6."""
    mine = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime, as connections are
            mine.add(str(descriptor.readlink()))
    tables = [Path(f"/proc/{process}/net/{table}").read_text().splitlines() for table in ("tcp", "tcp6")]
    sockets = [line.split() for table in tables for line in table[1:]]
    words = {each[1].partition(":")[0][-8:] for each in sockets if each[3] == LISTEN and f"socket:[{each[9]}]" in mine}
    return {socket.inet_ntoa(bytes.fromhex(word)[::-1]) for word in words}  # in the machine's byte order
