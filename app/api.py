"""WSGI entry point: `cd app && gunicorn api:app`."""

import sys

from comments.app import create_app
from comments.config import ConfigError
from comments.errors import StoreError

BOOT_ERROR = 3
"""Exit status of a worker that makes gunicorn's master stop instead of starting another worker."""

try:
    app = create_app()
except (ConfigError, StoreError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(BOOT_ERROR)
