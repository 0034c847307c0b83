"""The deployed service as its operator sees it: through AWS's API, Docker and the release command."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from playground.state import Playground

PROJECT = Path(__file__).resolve().parents[2]
NAME = "comments-playground"
PATIENCE_SECONDS = 300.0
RELEASE_SECONDS = 300.0


@dataclass
class Cloud:
    """A playground with the service on it."""

    session: boto3.Session
    endpoint: str
    url: str

    def client(self, name: str) -> Any:
        return self.session.client(name, endpoint_url=self.endpoint)  # type: ignore[call-overload]  # any service

    def service(self) -> dict[str, Any]:
        described = self.client("ecs").describe_services(cluster=NAME, services=[NAME])
        return dict(described["services"][0])

    def healthy_targets(self) -> list[str]:
        """Addresses that the load balancer sends requests to."""
        group = self.service()["loadBalancers"][0]["targetGroupArn"]
        health = self.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [entry["Target"]["Id"] for entry in health if entry["TargetHealth"]["State"] == "healthy"]

    def containers(self) -> list[str]:
        """Ids of the containers that really run."""
        label = f"label=comments.playground={Playground.from_environment().folder}"
        return subprocess.check_output(["docker", "ps", "--quiet", "--no-trunc", "--filter", label], text=True).split()

    def set_minimum(self, count: int) -> None:
        """What a release of a stage with another min_tasks does."""
        self.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="ecs",
            ResourceId=f"service/{NAME}/{NAME}",
            ScalableDimension="ecs:service:DesiredCount",
            MinCapacity=count,
            MaxCapacity=max(count, 6),
        )

    def is_deployed(self) -> bool:
        """Whether the service's newest deployment is complete, its alarms' time included."""
        states = {each["status"]: each["rolloutState"] for each in self.service()["deployments"]}
        return states["PRIMARY"] == "COMPLETED"

    def settle(self, count: int | None = None) -> None:
        """Wait until exactly this many tasks serve; without a count, as many as the service wants under its load."""

        def settled() -> bool:
            service = self.service()
            wanted = service["desiredCount"] if count is None else count
            return len(self.containers()) == len(self.healthy_targets()) == service["runningCount"] == wanted

        wait_until(settled, f"{count or 'all wanted'} tasks serve")


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:g} s in vain until {what}"
        time.sleep(0.3)


def changed_project(folder: Path, *, ending_of_api: str, ending_of_server: str = "") -> Path:
    """A clone of the project with one more commit, which appends to the WSGI entry or to the server's settings."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    for name, ending in (("api.py", ending_of_api), ("gunicorn.conf.py", ending_of_server)):
        entry = folder / "app" / name
        entry.write_text(entry.read_text() + ending)
    commit(folder)
    return folder


def committed(folder: Path, file: str, old: str, new: str) -> None:
    """Replace a passage of a file in a clone, and commit that."""
    text = (folder / file).read_text()
    assert old in text, f"{file} no longer holds {old!r}"
    (folder / file).write_text(text.replace(old, new))
    commit(folder)


def commit(folder: Path) -> None:
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(
        [*git, "commit", "--quiet", "--all", "--allow-empty", "--message", "A change"], cwd=folder, check=True
    )


@dataclass
class Running:
    """`make deploy` of a working copy under way: what it has printed, and what it has yet to."""

    process: subprocess.Popen[str]
    printed: str = ""

    def until(self, mark: str) -> str:
        """Read on to the first line with this mark, and return that."""
        for line in self.process.stdout or ():
            self.printed += line
            if mark in line:
                return line
        raise AssertionError(f"ended without {mark!r}: {self.printed}{self.finished().stderr}")

    def finished(self) -> subprocess.CompletedProcess[str]:
        out, err = self.process.communicate(timeout=RELEASE_SECONDS)
        return subprocess.CompletedProcess([], self.process.returncode, self.printed + out, err)


def start_release(project: Path, *, stage: str = "playground", environment: Mapping[str, str] = os.environ) -> Running:
    """`make deploy` of another working copy, into the playground that is up unless said otherwise."""
    tools = [str(Path(sys.executable).parent), str(PROJECT / "node_modules" / ".bin"), os.environ["PATH"]]
    variables = {"PLAYGROUND_DIR": str(PROJECT / ".playground"), **environment, "PATH": os.pathsep.join(tools)}
    process = subprocess.Popen(
        [sys.executable, "-m", "release", stage],
        cwd=project,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    return Running(process)


def release(
    project: Path, *, stage: str = "playground", environment: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """The same from its start to its end."""
    return start_release(project, stage=stage, environment=environment).finished()
