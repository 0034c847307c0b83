"""The deployed service as its operator sees it: through AWS's API, Docker and the release command."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3

from infra.playground.state import Playground

PROJECT = Path(__file__).resolve().parents[2]
NAME = "comments-playground"
PATIENCE_SECONDS = 120.0


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

    def settle(self, count: int) -> None:
        """Wait until exactly this many tasks serve."""
        wait_until(
            lambda: (
                len(self.containers()) == len(self.healthy_targets()) == count
                and self.service()["runningCount"] == count
            ),
            f"{count} tasks serve",
        )


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {PATIENCE_SECONDS:g} s in vain until {what}"
        time.sleep(0.3)


def changed_project(folder: Path, *, ending_of_api: str) -> Path:
    """A clone of the project with one more commit, which appends to the WSGI entry."""
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run([*git, "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    entry = folder / "app" / "api.py"
    entry.write_text(entry.read_text() + ending_of_api)
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "Change the API"], cwd=folder, check=True)
    return folder


def release(project: Path) -> subprocess.CompletedProcess[str]:
    """`make deploy ENV=playground` of another working copy, into the playground that is up."""
    tools = [str(Path(sys.executable).parent), str(PROJECT / "node_modules" / ".bin"), os.environ["PATH"]]
    variables = {
        "PATH": os.pathsep.join(tools),
        "PLAYGROUND_DIR": os.environ.get("PLAYGROUND_DIR") or str(PROJECT / ".playground"),
    }
    return subprocess.run(
        [sys.executable, "-m", "infra.release", "playground"],
        cwd=project,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )
