"""Starting and removing a playground: actionable errors, and complete removal even of a partial playground."""

import ipaddress
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from playground.down import processes_of
from playground.state import Playground
from tests.machine import needs
from tests.playground.conftest import NAME, Cloud, playground_command, wait_until

LISTEN = "0A"  # Linux: value of the state column in /proc/net/tcp


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A playground in a separate folder, independent of any other playground on this machine."""

    folder: Path
    gateway_port: int
    load_balancer_port: int

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        own = {
            "PLAYGROUND_DIR": str(self.folder),
            "PLAYGROUND_GATEWAY_PORT": str(self.gateway_port),
            "PLAYGROUND_PORT": str(self.load_balancer_port),
        }
        return playground_command(command, **(own | variables))

    def processes(self) -> list[int]:
        return processes_of(Playground(self.folder, self.gateway_port, self.load_balancer_port))

    def containers(self) -> list[str]:
        listed = ["docker", "ps", "--all", "--quiet", "--filter", f"label=comments.playground={self.folder}"]
        return subprocess.check_output(listed, text=True).split()

    def images(self) -> list[str]:
        listed = subprocess.check_output(["docker", "image", "ls", "--format", "{{.Repository}}"], text=True)
        return [name for name in listed.split() if name.startswith(f"localhost:{self.gateway_port}/")]

    def leftovers(self) -> list[object]:
        folder = [self.folder] if self.folder.exists() else []
        return [*self.processes(), *self.containers(), *self.images(), *folder]


@pytest.fixture
def installation(docker: None, tmp_path: Path) -> Iterator[Installation]:  # noqa: ARG001 - needs Docker
    one = Installation(tmp_path / "state", free_port(), free_port())
    yield one
    one.run("down")


def only_line(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    (line,) = finished.stderr.splitlines()
    return line


@pytest.mark.parametrize("variable", ["PLAYGROUND_GATEWAY_PORT", "PLAYGROUND_PORT"])
def test_a_port_that_is_taken_is_named_with_its_variable(installation: Installation, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = only_line(installation.run("up", **{variable: port}))
    assert f"port {port}" in line
    assert f"{variable}=PORT" in line
    assert installation.leftovers() == []


def test_a_port_that_is_none_is_named_with_its_variable(installation: Installation) -> None:
    assert "PLAYGROUND_PORT='http'" in only_line(installation.run("up", PLAYGROUND_PORT="http"))


def test_without_docker_it_says_what_is_missing(installation: Installation) -> None:
    assert "install it" in only_line(installation.run("up", PATH="/nonexistent"))
    assert installation.leftovers() == []


def test_up_without_a_docker_daemon_is_an_error(installation: Installation) -> None:
    assert "start it" in only_line(installation.run("up", DOCKER_HOST="unix:///nonexistent/docker.sock"))
    assert installation.leftovers() == []


def test_a_stale_folder_is_refused_until_it_is_taken_down(installation: Installation) -> None:
    installation.folder.mkdir()
    (installation.folder / "env").write_text(f"AWS_ENDPOINT_URL=http://127.0.0.1:{installation.gateway_port}\n")
    assert "make playground-down" in only_line(installation.run("up"))
    assert installation.run("down").returncode == 0
    assert installation.leftovers() == []


def test_down_keeps_files_it_did_not_create(installation: Installation) -> None:
    installation.folder.mkdir()
    (installation.folder / "thesis.txt").write_text("all of it")
    assert "thesis.txt" in only_line(installation.run("down"))
    assert (installation.folder / "thesis.txt").read_text() == "all of it"
    (installation.folder / "thesis.txt").unlink()


def test_down_without_a_playground_succeeds(installation: Installation) -> None:
    assert installation.run("down").returncode == 0
    assert installation.run("status").returncode == 1


@pytest.fixture
def shared(playground: dict[str, str], was_up: bool) -> Installation:  # noqa: ARG001 - needs a running playground
    """The playground shared with earlier tests; this file removes it."""
    needs(not was_up, "the playground was up before the tests, which leave it as it is")
    own = Playground.from_environment()
    return Installation(own.folder, own.gateway_port, own.load_balancer_port)


def test_it_listens_on_loopback_and_the_bridge_alone(shared: Installation) -> None:
    asked = ["docker", "network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}"]
    bridge = ipaddress.ip_network(subprocess.check_output(asked, text=True).strip())
    addresses = {address for process in shared.processes() for address in listening(process)}
    assert "127.0.0.1" in addresses
    assert [one for one in addresses - {"127.0.0.1"} if ipaddress.ip_address(one) not in bridge] == []


def test_docker_never_contacts_ecr(shared: Installation) -> None:
    assert shared.images()
    assert "amazonaws" not in subprocess.check_output(["docker", "image", "ls", "--no-trunc"], text=True)


def test_unsupported_features_are_rejected(shared: Installation, cloud: Cloud) -> None:
    """Unsupported settings and actions fail; they are not silently ignored."""
    assert shared.processes()
    cloudformation = cloud.client("cloudformation")
    container = {"Name": "api", "Image": "api", "HealthCheck": {"Command": ["CMD", "true"]}}
    task = {
        "Type": "AWS::ECS::TaskDefinition",
        "Properties": {"Family": "refused", "ContainerDefinitions": [container]},
    }
    cloudformation.create_stack(StackName="refused", TemplateBody=json.dumps({"Resources": {"Task": task}}))
    wait_until(
        lambda: "ROLLBACK_COMPLETE" in cloudformation.describe_stacks(StackName="refused")["Stacks"][0]["StackStatus"],
        "the stack is rolled back",
    )
    events = cloudformation.describe_stack_events(StackName="refused")["StackEvents"]
    assert any(
        "container api: the playground does not support healthCheck" in event.get("ResourceStatusReason", "")
        for event in events
    )
    ecs = cloud.client("ecs")
    with pytest.raises(ecs.exceptions.ClientError, match="the playground does not support ExecuteCommand"):
        ecs.execute_command(cluster=NAME, task="any", command="sh", interactive=True)


def test_down_removes_a_partial_playground(shared: Installation) -> None:
    assert len(shared.processes()) == 2
    for process in shared.processes():
        os.kill(process, signal.SIGKILL)
    for container in shared.containers()[:1]:
        subprocess.run(["docker", "rm", "--force", container], check=True, capture_output=True)
    (shared.folder / "env").unlink()
    (shared.folder / "server.log").unlink()
    assert "make playground-down" in only_line(shared.run("up"))
    assert shared.run("down").returncode == 0
    assert shared.leftovers() == []


def listening(process: int) -> set[str]:
    """Return the addresses on which a process listens for TCP connections."""
    mine = set()
    for descriptor in Path(f"/proc/{process}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed in the meantime, as connections are
            mine.add(str(descriptor.readlink()))
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and f"socket:[{fields[9]}]" in mine:
                found.add(address_of(fields[1].split(":")[0]))
    return found


def address_of(words: str) -> str:
    """Decode an address from /proc/net/tcp: hexadecimal 32-bit words in the machine's byte order."""
    packed = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(packed)
    return str(getattr(address, "ipv4_mapped", None) or address)
