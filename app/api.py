"""WSGI entry point: `cd app && gunicorn api:app`."""

import sys

from comments.app import create_app
from comments.config import ConfigError
from comments.errors import StoreError

BOOT_ERROR = 3
"""The exit status with which a gunicorn worker tells its master to stop instead of starting another one."""

try:
    app = create_app()
except (ConfigError, StoreError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(BOOT_ERROR)
