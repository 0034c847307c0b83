"""gunicorn settings; `gunicorn api:app` in this directory reads them."""

import logging.config
import os
from pathlib import Path

from comments.logs import CONFIG
from serve import check_variables

# Greenlets: a slow client or store does not block other requests. A worker uses one core; WEB_CONCURRENCY=2 starts two.
worker_class = "gevent"
# Connections per worker, including slow and idle ones; each takes about 40 kB.
worker_connections = 2000

check_variables()
if "PORT" not in os.environ:
    bind = "127.0.0.1:8000"  # gunicorn's default, unless PORT was empty

# Longer than the load balancer's idle timeout (60 s). Otherwise the server may close a connection just as the load
# balancer sends a request on it, and the client gets a 502.
keepalive = 75
# Shorter than the 30 s after which ECS kills a stopping task.
graceful_timeout = 25
# Seconds without a heartbeat after which the master replaces a worker.
timeout = 30

# Ignore headers that would change the scheme or path of a request. COMMENTS_TRUSTED_PROXIES sets the client address.
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""

# A page of 1,000 bytes has up to 3,000 characters in a URL.
limit_request_line = 8190

# The heartbeat is a file. Writing it to disk could block, and the root file system may be read-only.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # gunicorn unlinks it immediately
control_socket_disable = True

# The app writes one line per request. With logconfig_dict, gunicorn would also format an access log line for each and
# drop it. errorlog is gunicorn's own handler; CONFIG sends the same messages to stdout as JSON.
accesslog = None
errorlog = os.devnull
logging.config.dictConfig(CONFIG)
