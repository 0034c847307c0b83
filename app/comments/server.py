"""What gunicorn is given of ours: its log lines in JSON, and the answers that it makes itself as the one error body."""

import logging
import os
import re
import socket
import sys
from collections.abc import MutableMapping
from datetime import timedelta
from typing import Any

import orjson
from gunicorn import util
from gunicorn.glogging import Logger

from comments.errors import error_body
from comments.settings import Settings
from comments.telemetry import EmbeddedMetrics, JsonFormatter, NoMetrics, request_line

REFUSED = re.compile(r"Invalid request from ip=\S+: [^'\"]*")
"""gunicorn quotes a malformed request in its log, and with it whatever a visitor wrote there."""

HEALTH = ("/healthz", 200)
"""A balancer asks every few seconds; a good answer is worth no line."""

NOT_IMPLEMENTED = 501


class JsonLogger(Logger):
    """Writes a request's line without the logging module, which would cost a fifth of the throughput."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        formatter = JsonFormatter()
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter)
        handler = logging.StreamHandler()
        handler.setFormatter(formatter)
        logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
        logging.getLogger("comments").setLevel(self.loglevel)
        namespace = Settings.from_environment().metrics
        self._metrics = EmbeddedMetrics(namespace) if namespace else NoMetrics()

    def error(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """End at once where the port is taken: gunicorn would say so five times, and then not why."""
        if str(msg).startswith("Connection in use"):
            address = ":".join(re.findall(r"[^'(), ]+", str(args[0])))
            sys.exit(f"error: {address} is in use: end what listens there, or choose another port (make run PORT=8001)")
        super().error(msg, *args, **kwargs)

    def warning(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """Keep what gunicorn says of a refused request up to where it quotes the visitor."""
        refused = REFUSED.match(str(msg))
        super().warning(refused[0].rstrip() if refused else msg, *args, **kwargs)

    def exception(self, msg: object, *args: Any, **kwargs: Any) -> None:
        """Leave out the address, whose query string gunicorn would log, and keep the traceback."""
        if str(msg).startswith("Error handling request"):
            msg, args = "error handling a request", ()
        super().exception(msg, *args, **kwargs)

    def access(self, resp: Any, req: Any, environ: MutableMapping[str, Any], request_time: timedelta) -> None:  # noqa: ARG002  # gunicorn's signature
        status = int(str(resp.status).split(None, 1)[0])
        if (environ.get("PATH_INFO"), status) == HEALTH:
            return
        line = request_line(environ, status=status, seconds=request_time.total_seconds(), sent=resp.sent or 0)
        self._metrics.add_to(line)
        os.write(1, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def write_error(sock: socket.socket, status_int: int, reason: str, mesg: str) -> None:
    """Answer a request that never reached the application: gunicorn's own would be HTML."""
    if status_int == NOT_IMPLEMENTED:  # an unknown transfer coding is no failure of ours: alarms count those
        status_int, reason = 400, "Bad Request"
    body = orjson.dumps(error_body(status_int, mesg or reason))
    head = f"HTTP/1.1 {status_int} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
    util.write_nonblock(sock, f"{head}Content-Length: {len(body)}\r\n\r\n".encode("latin-1") + body)
