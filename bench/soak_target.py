"""What a soak runs: a container as ECS has it, or the server from the source; and what it holds of memory and files."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.image import BASE_IMAGE, docker
from bench.machine import PINS, ROOT, SERVER
from infra.stages import Stage

PROBE = """
import json, os, sys
def lines(path):
    with open(path) as file:
        return dict((name.rstrip(":"), int(value)) for name, value, *_ in map(str.split, file) if value.isdigit())
def parent(pid):
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])
first, me = int(sys.argv[1]), os.getpid()
pids = {first}
for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
    try:
        if pid != me and parent(pid) in pids:
            pids.add(pid)
    except FileNotFoundError:
        pass
found = {"anonymous": 0, "pss": 0, "files": 0, "threads": 0}
for pid in pids:
    memory = lines(f"/proc/{pid}/smaps_rollup")
    found["anonymous"] += memory["Pss_Anon"] * 1024
    found["pss"] += memory["Pss"] * 1024
    found["files"] += len(os.listdir(f"/proc/{pid}/fd"))
    found["threads"] += len(os.listdir(f"/proc/{pid}/task"))
def number(path):
    with open(path) as file:
        return int(file.read())
for folder, used, cache in (("", "memory.current", "file"), ("memory/", "memory.usage_in_bytes", "cache")):
    group = "/sys/fs/cgroup/" + folder
    if first == 1 and os.path.exists(group + used):
        mine = lines("/proc/self/smaps_rollup")["Anonymous"] * 1024
        found["group"] = number(group + used) - lines(group + "memory.stat")[cache] - mine
print(json.dumps(found))
"""
"""Runs beside the server, which is the process of that id and its children; in a container that is 1.

Both kinds of control groups are known, and what the probe itself takes is left out.
"""


@dataclass(frozen=True)
class Held:
    """What the server's processes hold, memory in bytes."""

    anonymous: int
    """What they allocated, and what a leak is made of: neither files nor other containers change it."""
    pss: int
    """With their part of mapped files: it falls when another container maps the same ones."""
    files: int
    threads: int
    group: int | None = None
    """The control group's without the cache of files: kernel memory too. None outside of a container."""


@dataclass(frozen=True)
class Target:
    """A running server."""

    what: str
    host: str
    port: int
    probe: Sequence[str]
    """The command that runs PROBE, given on its standard input."""

    def held(self) -> Held:
        done = subprocess.run(self.probe, input=PROBE, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["nothing said"])[-1]
            raise SystemExit(f"error: the server cannot be looked into, or has ended ({self.what}): {reason}")
        return Held(**json.loads(done.stdout))


@contextlib.contextmanager
def container(stage: Stage, environment: Mapping[str, str], options: Sequence[str] = ()) -> Iterator[Target]:
    """Run the image with the stage's share of a CPU and memory, a read-only root and no capabilities."""
    image = docker("build", "-q", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", ".").splitlines()[-1]
    store = "sqlite:////data/comments.db"
    stages = {"COMMENTS_METRICS": stage.metrics_namespace, "COMMENTS_CPU_AFFINITY": "on"}
    given = {"COMMENTS_STORE": store, **stages, **environment}
    core = [f"--cpuset-cpus={','.join(map(str, SERVER))}"] if PINS else []  # not the one of whoever asks it
    started = docker(
        "run", "-d", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--volume=/data",
        f"--cpus={stage.cpu / 1024}", f"--memory={stage.memory}m", f"--memory-swap={stage.memory}m",
        "--log-opt=max-size=10m", *(f"--env={name}={value}" for name, value in given.items()),
        *core, *options, image,
    )  # fmt: skip
    try:
        networks = json.loads(docker("inspect", started))[0]["NetworkSettings"]["Networks"]
        address = next(iter(networks.values()))["IPAddress"]
        what = f"a container of {stage.cpu / 1024:g} vCPU and {stage.memory} MiB, as a task of {stage.name}"
        probe = ["docker", "exec", "-i", started, "python3", "-S", "-E", "-", "1"]
        yield Target(what, address, 8000, probe)
    finally:
        docker("rm", "-f", "-v", started)


def probe_of(pid: int) -> list[str]:
    """Return the command that runs PROBE beside a process of this machine."""
    return [sys.executable, "-S", "-E", "-", str(pid)]


@contextlib.contextmanager
def process(environment: Mapping[str, str]) -> Iterator[Target]:
    """Run the server from the source, with nothing to limit it."""
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("error: --process needs Linux, whose /proc tells memory and files; use a container instead")
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free, Path(folder, "log").open("wb") as log:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        given = {**os.environ, "COMMENTS_STORE": f"sqlite:///{folder}/comments.db", **environment}
        command = [str(Path(sys.executable).with_name("gunicorn")), "--bind", f"127.0.0.1:{port}", "api:app"]
        server = subprocess.Popen(command, cwd=ROOT / "app", env=given, stdout=log, stderr=log)
        try:
            yield Target("the server from the source, not limited", "127.0.0.1", port, probe_of(server.pid))
        finally:
            server.terminate()
            server.wait(30)
