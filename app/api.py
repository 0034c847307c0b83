"""WSGI entry point: `cd app && gunicorn api:app`."""

import sys

from comments.app import create_app
from comments.config import ConfigError
from comments.errors import StoreError
from comments.notifications import outbox

try:
    app = create_app()
except (ConfigError, StoreError) as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(3)  # gunicorn's master stops instead of starting another worker
outbox.start(app.extensions["settings"], app.extensions["store"])
