"""The WSGI entry: `cd app && gunicorn api:app`."""

import sys

from gunicorn.arbiter import Arbiter

from comments import create_app
from comments.errors import StoreError

try:
    app = create_app()
except StoreError as error:
    # With this status the master stops, instead of starting workers that end the same way for ever.
    print(f"error: {error.message}", file=sys.stderr)
    sys.exit(Arbiter.APP_LOAD_ERROR)
