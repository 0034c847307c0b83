"""Latency of GET while eight clients post, on a disk with slow flushes: `python -m bench.disk`. It needs gcc."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

from bench.load import Request, percentile
from bench.servers import ROOT, free_port, status

CLIENTS = 8


def compile_slow_disk(folder: Path) -> Path:
    """Return the library to preload; see slow_disk.c."""
    library = folder / "slow_disk.so"
    source = Path(__file__).with_name("slow_disk.c")
    subprocess.run(["gcc", "-O2", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def measure(app: Path, delay: int, seconds: float) -> tuple[float, float, float]:
    """Return POSTs per second, and the median and 99th percentile of GET in milliseconds. 0 is the disk's own delay."""
    with TemporaryDirectory(dir=ROOT / "build") as folder:
        environ = os.environ | {"COMMENTS_STORE": f"sqlite:///{folder}/comments.db"}
        if delay:
            environ |= {"LD_PRELOAD": str(compile_slow_disk(Path(folder))), "SLOW_DISK_MS": str(delay)}
        port = free_port()
        command = [str(Path(sys.executable).with_name("gunicorn")), "--bind", f"127.0.0.1:{port}", "api:app"]
        server = subprocess.Popen(command, cwd=app, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        try:
            while status(port, Request("GET", "/healthz")) != 200:  # noqa: PLR2004  # clearer than a constant
                time.sleep(0.02)
            return _load(port, seconds)
        finally:
            server.terminate()
            server.wait()


def _load(port: int, seconds: float) -> tuple[float, float, float]:
    stop, posted = Event(), [0] * CLIENTS

    def post(client: int) -> None:
        with closing(HTTPConnection("127.0.0.1", port)) as connection:
            body = json.dumps({"email": "a@example.com", "comment": "x", "content_id": client + 2})
            while not stop.is_set():
                connection.request("POST", "/api/comment/new", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
                posted[client] += 1

    clients = [Thread(target=post, args=(client,)) for client in range(CLIENTS)]
    for client in clients:
        client.start()
    latencies, end = [], time.monotonic() + seconds
    with closing(HTTPConnection("127.0.0.1", port)) as connection:
        while (began := time.monotonic()) < end:
            connection.request("GET", "/api/comment/list/1")
            connection.getresponse().read()
            latencies.append(1000 * (time.monotonic() - began))
            time.sleep(0.005)
    stop.set()
    for client in clients:
        client.join()
    return sum(posted) / seconds, statistics.median(latencies), percentile(latencies, 0.99)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.disk", description=__doc__)
    parser.add_argument("apps", nargs="*", type=Path, default=[ROOT / "app"], help="app folders to compare")
    parser.add_argument("--delays", type=int, nargs="+", default=[0, 20], metavar="MS", help="default: 0 20")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    (ROOT / "build").mkdir(exist_ok=True)
    print("| flush delay | app | POST/s | GET p50, ms | GET p99, ms |\n|---|---|---:|---:|---:|")
    for delay in options.delays:
        rounds = [[measure(app, delay, 4) for app in options.apps] for _ in range(options.rounds)]
        for app, samples in zip(options.apps, zip(*rounds, strict=True), strict=True):
            rate, p50, p99 = (statistics.median(each) for each in zip(*samples, strict=True))
            print(f"| {f'{delay} ms' if delay else 'none'} | {app} | {rate:,.0f} | {p50:.1f} | {p99:.1f} |")


if __name__ == "__main__":
    main()
