"""How much the image adds to its base, and how soon a container of it answers."""

import json
import os
import socket
import statistics
import subprocess
import time
from datetime import datetime

from bench.machine import ROOT
from bench.report import Report
from bench.scale import Scale

BASE_IMAGE = os.environ.get("BASE_IMAGE", "python:3.13-slim")
GIVE_UP_SECONDS = 30
AS_ON_ECS = ["--read-only", "--cap-drop=ALL", "--env=COMMENTS_STORE=sqlite:////data/comments.db", "--volume=/data"]
QUARTER = "--cpus=0.25"


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


def missing() -> str:
    """Return why no container can be started, or nothing."""
    try:
        ran = subprocess.run(["docker", "version"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "needs Docker: the docker command is not installed"
    return "needs Docker: no daemon answers" if ran.returncode else ""


def megabytes(image: str) -> float:
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6


def answers(address: str) -> bool:
    try:
        with socket.create_connection((address, 8000), timeout=1) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False


def seconds_to_first_answer(image: str, *options: str) -> float:
    """Return the time from the container's start, as Docker noted it, to the first 200 of /healthz."""
    container = docker("run", "-d", *AS_ON_ECS, *options, image)
    try:
        state = json.loads(docker("inspect", container))[0]
        address = next(iter(state["NetworkSettings"]["Networks"].values()))["IPAddress"]
        started = datetime.fromisoformat(state["State"]["StartedAt"]).timestamp()
        while not answers(address):
            if time.time() - started > GIVE_UP_SECONDS:
                raise SystemExit(f"the container did not answer within {GIVE_UP_SECONDS} s")
            time.sleep(0.005)
        return time.time() - started
    finally:
        docker("rm", "-f", "-v", container)


def measure(report: Report, scale: Scale) -> None:
    reason = missing() if scale.containers else "a quick run starts no container"
    if reason:
        report.skipped(reason, "start_quarter")
        return
    image = docker("build", "-q", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", ".").splitlines()[-1]
    whole: list[float] = []
    quarter: list[float] = []
    for _ in range(scale.containers):
        whole.append(seconds_to_first_answer(image))
        quarter.append(seconds_to_first_answer(image, QUARTER))
    size = megabytes(image) - megabytes(BASE_IMAGE)
    remark = f"with a core {statistics.median(whole):.2f} s; our layers {size:.1f} MB"
    report.measured("start_quarter", statistics.median(quarter), remark)
    report.details["image"] = {"megabytes": size, "base": BASE_IMAGE, "start": whole, "start_quarter": quarter}
