"""Start gunicorn, which reads WEB_CONCURRENCY while it is imported: a wrong value would end with a traceback.

`python3 serve.py` in this directory passes its arguments to gunicorn. `gunicorn api:app` only lacks that check.
"""

import os
import sys

LIMITS = {"WEB_CONCURRENCY": 64, "PORT": 65535}
"""Variables that gunicorn reads, and the largest value of each; the smallest is 1."""


def check_variables() -> None:
    """Unset empty variables, and exit if one is not a number that works."""
    for name, maximum in LIMITS.items():
        value = os.environ.get(name, "")
        if not value:
            os.environ.pop(name, None)
        elif not (value.isascii() and value.isdecimal() and 1 <= int(value) <= maximum):
            sys.exit(f"error: {name} must be a number from 1 to {maximum}, not {value!r}")


if __name__ == "__main__":
    check_variables()
    os.execv(sys.executable, [sys.executable, "-m", "gunicorn", *sys.argv[1:], "api:app"])  # noqa: S606  # no shell is needed
