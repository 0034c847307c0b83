"""Removes a playground, even a partial one: processes, containers, images and files."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from playground.state import Playground, PlaygroundError

CREATED_FILES = ("env", "prepared", "server.log", "dynamodb.log", "permissions", "tmp", "cdk")
"""Files and folders that a playground creates. Nothing else is deleted, in case the configured folder is wrong."""
TERM_SECONDS = 15.0
REMOVAL_SECONDS = 20.0


def take_down(playground: Playground, note: Callable[[str], None]) -> None:
    """Remove everything that belongs to the playground; each step works even if the rest is already gone."""
    ended = end_processes(playground)
    note(f"processes stopped: {ended}")
    if shutil.which("docker"):
        note(f"containers removed: {remove_containers(playground)}")
        note(f"image names removed: {remove_images(playground)}")
    remove_files(playground)


def process_tag(playground: Playground) -> str:
    """Return the suffix of the command-line argument that identifies a playground's processes."""
    return f"playground={playground.folder}"


def processes_of(playground: Playground) -> list[int]:
    """Return the PIDs of the processes that have the playground's tag in their command line."""
    tag = process_tag(playground).encode() + b"\0"  # /proc ends each argument with a null byte
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # the process has exited
            if tag in file.read_bytes():
                found.append(int(file.parent.name))
    return found


def end_processes(playground: Playground) -> int:
    """Send SIGTERM to the playground's processes, then SIGKILL; returns how many there were."""
    first = processes_of(playground)
    for number, timeout in ((signal.SIGTERM, TERM_SECONDS), (signal.SIGKILL, TERM_SECONDS)):
        for pid in processes_of(playground):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        deadline = time.monotonic() + timeout
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
        # docker rm fails if a container is already being removed
        subprocess.run(["docker", "rm", "--force", "--volumes", *left], capture_output=True, check=False)
        left = docker(*listing)
    if left:
        raise PlaygroundError(f"Docker did not remove the containers {', '.join(left)}; restart it and run this again")
    return len(found)


def remove_images(playground: Playground) -> int:
    """Untag images pushed to or pulled from this registry; their layers are kept as a cache for the next build.

    Without its folder nothing was pushed, and a registry on the same port is that of another playground.
    """
    if not playground.folder.exists():
        return 0
    registry = playground.read_environment().get("PLAYGROUND_REGISTRY", playground.registry)
    found = left = image_names(registry)
    deadline = time.monotonic() + REMOVAL_SECONDS
    while left and time.monotonic() < deadline:
        # Removing the last tag also removes the digest, so some names may be gone already; --force because an
        # image with the same content may run under another playground's name
        subprocess.run(["docker", "rmi", "--force", "--no-prune", *left], capture_output=True, check=False)
        left = image_names(registry)
    if left:
        raise PlaygroundError(f"Docker did not remove the images {', '.join(left)}; restart it and run this again")
    return len(found)


def image_names(registry: str) -> list[str]:
    """Return the tags and digests of a registry's images in this machine's Docker."""
    names = []
    for line in docker("image", "ls", "--digests", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"):
        repository, tag, digest = line.split(" ")
        if repository.startswith(f"{registry}/"):
            names += [f"{repository}:{tag}"] if tag != "<none>" else []
            names += [f"{repository}@{digest}"] if digest != "<none>" else []
    return list(dict.fromkeys(names))


def remove_files(playground: Playground) -> None:
    for name in CREATED_FILES:
        path = playground.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    if not playground.folder.exists():
        return
    if foreign := sorted(entry.name for entry in playground.folder.iterdir()):
        raise PlaygroundError(
            f"{playground.folder} contains {', '.join(foreign)}, which the playground did not create; move or delete it"
        )
    playground.folder.rmdir()
