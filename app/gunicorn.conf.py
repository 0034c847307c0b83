"""How the service is served; `gunicorn api:app` in this folder reads it."""

import gc
import os
import sys
from collections.abc import Collection
from pathlib import Path

from gunicorn import util
from gunicorn.arbiter import Arbiter

from comments.server import JsonLogger, write_error
from comments.serving.scheduling import choose_core, keep_to, take_turns
from comments.serving.worker import Worker
from comments.settings import Settings, SettingsError

# Here, in the master: a worker that cannot start would be started again and again.
try:
    settings = Settings.from_environment()
except SettingsError as error:
    sys.exit(f"error: {error}")

util.write_error = write_error

# gunicorn's threaded worker, with slow clients kept away from its threads.
worker_class = "comments.serving.worker.Worker"
# One worker makes the most of one core, with so many threads that posts share commits; WEB_CONCURRENCY=2 is gunicorn's
# own way to ask for two.
threads = 16
# Each worker listens on a socket of its own, so that the kernel spreads connections evenly between them.
reuse_port = int(os.environ.get("WEB_CONCURRENCY", "1")) > 1

# Longer than the balancer's idle timeout of 60 s: a server that closes an idle connection first answers a request
# that is already under way with a reset, which the balancer shows as a 502.
keepalive = 75
# Less than the 30 s after which ECS kills a task that was asked to stop.
graceful_timeout = 25
# Seconds without a sign of life before the master replaces a worker.
timeout = 30

# Nobody's headers change a request's path or scheme; whose address it is, COMMENTS_TRUSTED_PROXIES says.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
# So it makes no difference who sends them, and no client's address is looked up in a list: a fortieth of an answer.
forwarded_allow_ips = "*"

# The heartbeat is a file: on a disk it can stall, and a read-only root has none. macOS has no /dev/shm.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # memory, and gunicorn unlinks it at once
control_socket_disable = True

logger_class = JsonLogger
accesslog = "-"


def pre_fork(server: Arbiter, worker: Worker) -> None:
    """Choose the worker's core, and leave the memory that it shares with the master as it is."""
    if settings.cpu_affinity:
        others: Collection[Worker] = server.WORKERS.values()  # type: ignore[assignment]  # worker_class makes no others
        worker.core = choose_core([other.core for other in others])
    gc.freeze()  # a collection writes to each object that it looks at


def post_fork(server: Arbiter, worker: Worker) -> None:  # noqa: ARG001  # gunicorn's signature
    """Say how its threads run, before there are any."""
    if worker.core is not None:
        keep_to(worker.core)
    take_turns()


def post_worker_init(worker: Worker) -> None:
    """Settle what a running worker would do again and again."""
    # A setting is found through two functions of Python's; each request asks for twenty.
    vars(worker.cfg).update({name: setting.get() for name, setting in worker.cfg.settings.items()})
    # Garbage collection would look through all that is loaded, and stop the threads for 25 ms every few seconds.
    gc.freeze()
