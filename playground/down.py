"""Takes a playground down, whatever is left of it: processes, containers, images, files."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from playground.client import read_environment
from playground.state import Playground, PlaygroundError

OURS = ("env", "prepared", "server.log", "dynamodb.log", "permissions", "tmp", "cdk")
"""Everything that a playground writes into its folder: nothing else is deleted, should the folder be a mistake."""
TERM_SECONDS = 15.0
REMOVAL_SECONDS = 20.0


def take_down(playground: Playground, note: Callable[[str], None]) -> None:
    """Remove all of it; each step works when the others' part is gone already."""
    ended = end_processes(playground)
    note(f"{ended} processes ended")
    if shutil.which("docker"):
        note(f"{remove_containers(playground)} containers removed")
        note(f"{remove_images(playground)} image names removed")
    remove_files(playground)


def mark(playground: Playground) -> str:
    """How the argument ends by which a playground's processes are known."""
    return f"playground={playground.folder}"


def command_lines() -> dict[int, list[str]]:
    """Every process's arguments, from /proc where there is one."""
    if Path("/proc/self/cmdline").exists():
        found: dict[int, list[str]] = {}
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                found[int(entry.parent.name)] = entry.read_bytes().decode(errors="replace").split("\0")
            except OSError:  # it has ended meanwhile
                continue
        return found
    listed = subprocess.check_output(["ps", "-axo", "pid=,args="], text=True)
    return {int(pid): rest for pid, *rest in (line.split() for line in listed.splitlines())}


def processes_of(playground: Playground) -> list[int]:
    ours = mark(playground)
    return [
        pid for pid, args in command_lines().items() if pid != os.getpid() and any(arg.endswith(ours) for arg in args)
    ]


def end_processes(playground: Playground) -> int:
    """End them politely, then by force; returns how many there were."""
    first = processes_of(playground)
    for number, patience in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
        for pid in processes_of(playground):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + patience
        while processes_of(playground) and time.monotonic() < deadline:
            time.sleep(0.1)
    return len(first)


def docker(*arguments: str) -> list[str]:
    finished = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if finished.returncode:
        reason = (finished.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise PlaygroundError(f"docker {arguments[0]} failed; start the Docker daemon and run this again ({reason})")
    return finished.stdout.splitlines()


def remove_containers(playground: Playground) -> int:
    listing = ("ps", "--all", "--quiet", "--filter", f"label={playground.label}")
    found = left = docker(*listing)
    deadline = time.monotonic() + REMOVAL_SECONDS
    while left and time.monotonic() < deadline:
        # one may be on its way out already, which the daemon calls an error
        subprocess.run(["docker", "rm", "--force", "--volumes", *left], capture_output=True, check=False)
        left = docker(*listing)
    if left:
        raise PlaygroundError(f"Docker does not remove the containers {', '.join(left)}; restart it and run this again")
    return len(found)


def remove_images(playground: Playground) -> int:
    """Untag what was pushed to this registry or pulled from it; the layers below stay as the next build's cache."""
    prefix = registry_prefix(playground)
    names = []
    for line in docker("image", "ls", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"):
        repository, tag, digest = line.split(" ")
        if repository.startswith(prefix):
            names += [f"{repository}:{tag}"] if tag != "<none>" else []
            names += [f"{repository}@{digest}"] if digest != "<none>" else []
    for name in dict.fromkeys(names):
        # the last tag takes its digest along, so that a name may be gone already
        subprocess.run(["docker", "rmi", "--no-prune", name], capture_output=True, check=False)
    return len(set(names))


def registry_prefix(playground: Playground) -> str:
    """The registry that this folder's playground had, which may not be the one of today's variables."""
    return read_environment(playground).get("PLAYGROUND_REGISTRY", playground.registry) + "/"


def remove_files(playground: Playground) -> None:
    for name in OURS:
        path = playground.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not playground.folder.exists():
        return
    if strangers := sorted(entry.name for entry in playground.folder.iterdir()):
        raise PlaygroundError(
            f"{playground.folder} keeps {', '.join(strangers)}, which no playground wrote; look at it"
        )
    playground.folder.rmdir()
