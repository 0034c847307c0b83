"""How much the image adds to its base, and how soon a container of it answers: `python -m bench.image`."""

import json
import os
import socket
import statistics
import subprocess
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASE_IMAGE = os.environ.get("BASE_IMAGE", "python:3.13-slim")
ROUNDS = 7
GIVE_UP_SECONDS = 30
AS_ON_ECS = ["--read-only", "--cap-drop=ALL", "--env=COMMENTS_STORE=sqlite:////data/comments.db", "--volume=/data"]


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()


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


def main() -> None:
    image = docker("build", "-q", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", ".").splitlines()[-1]
    whole, quarter = [], []
    for _ in range(ROUNDS):
        whole.append(seconds_to_first_answer(image))
        quarter.append(seconds_to_first_answer(image, "--cpus=0.25"))
    print("| image | value |\n|---|---|")
    print(f"| our layers on top of {BASE_IMAGE} | {megabytes(image) - megabytes(BASE_IMAGE):.1f} MB |")
    for what, times in (("one core or more", whole), ("a quarter of a core", quarter)):
        low, middle, high = min(times), statistics.median(times), max(times)
        print(f"| start to the first 200, {what}: median ({ROUNDS} runs) | {middle:.2f} s ({low:.2f} to {high:.2f}) |")


if __name__ == "__main__":
    main()
