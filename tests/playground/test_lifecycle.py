"""A playground's own life: refusals that say what to do, and an end that leaves nothing, whatever was left of it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.xdist_group("playground")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """A playground in a folder of its own, beside whatever else runs here."""

    folder: Path
    gateway_port: int
    balancer_port: int

    def run(self, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "PLAYGROUND_DIR": str(self.folder),
            "PLAYGROUND_GATEWAY_PORT": str(self.gateway_port),
            "PLAYGROUND_PORT": str(self.balancer_port),
        }
        return subprocess.run(
            [sys.executable, "-m", "playground", command],
            cwd=PROJECT,
            env=environment | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    def processes(self) -> list[int]:
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                arguments = entry.read_bytes().decode(errors="replace").split("\0")
            except OSError:
                continue
            if any(argument.endswith(f"playground={self.folder}") for argument in arguments):
                found.append(int(entry.parent.name))
        return found

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
def installation(docker: None, tmp_path: Path) -> Iterator[Installation]:  # noqa: ARG001 - a condition
    one = Installation(tmp_path / "state", free_port(), free_port())
    yield one
    one.run("down")


def networks() -> set[str]:
    return set(subprocess.check_output(["docker", "network", "ls", "--quiet"], text=True).split())


def only_line(finished: subprocess.CompletedProcess[str]) -> str:
    assert finished.returncode == 1, finished.stdout + finished.stderr
    (line,) = finished.stderr.splitlines()
    return line


@pytest.mark.parametrize("variable", ["PLAYGROUND_GATEWAY_PORT", "PLAYGROUND_PORT"])
def test_a_port_that_is_taken_is_named_with_its_variable(installation: Installation, variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        line = only_line(installation.run("up", **{variable: port}))
    assert f"port {port} is taken" in line
    assert f"{variable}=PORT" in line
    assert installation.leftovers() == []


def test_a_port_that_is_none_is_named_with_its_variable(installation: Installation) -> None:
    assert "PLAYGROUND_PORT='http'" in only_line(installation.run("up", PLAYGROUND_PORT="http"))


def test_without_docker_it_says_what_is_missing(installation: Installation) -> None:
    assert "install it" in only_line(installation.run("up", PATH="/nonexistent"))
    assert installation.leftovers() == []


def test_without_a_docker_daemon_it_says_so(installation: Installation) -> None:
    assert "start it" in only_line(installation.run("up", DOCKER_HOST="unix:///nonexistent/docker.sock"))
    assert installation.leftovers() == []


def test_a_stale_folder_is_refused_until_it_is_taken_down(installation: Installation) -> None:
    installation.folder.mkdir()
    (installation.folder / "env").write_text(f"AWS_ENDPOINT_URL=http://127.0.0.1:{installation.gateway_port}\n")
    assert "make playground-down" in only_line(installation.run("up"))
    assert installation.run("down").returncode == 0
    assert installation.leftovers() == []


def test_a_strangers_file_survives(installation: Installation) -> None:
    installation.folder.mkdir()
    (installation.folder / "thesis.txt").write_text("all of it")
    assert "thesis.txt" in only_line(installation.run("down"))
    assert (installation.folder / "thesis.txt").read_text() == "all of it"
    (installation.folder / "thesis.txt").unlink()


def test_down_without_a_playground_succeeds(installation: Installation) -> None:
    assert installation.run("down").returncode == 0
    assert installation.run("status").returncode == 1


def test_one_that_is_half_gone_is_taken_down_completely(installation: Installation) -> None:
    before = networks()
    started = installation.run("up")
    assert started.returncode == 0, started.stdout + started.stderr
    with urllib.request.urlopen(f"http://127.0.0.1:{installation.balancer_port}/healthz", timeout=10) as response:
        assert response.status == 200
    assert len(installation.containers()) == 2
    for process in installation.processes():
        os.kill(process, signal.SIGKILL)
    subprocess.run(["docker", "rm", "--force", installation.containers()[0]], check=True, capture_output=True)
    (installation.folder / "env").unlink()
    (installation.folder / "server.log").unlink()
    assert "make playground-down" in only_line(installation.run("up"))
    assert installation.run("down").returncode == 0
    assert installation.leftovers() == []
    assert networks() == before
