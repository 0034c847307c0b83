"""What an error of SQLite means to whoever runs the service, and what to do."""

import errno
import sqlite3
from pathlib import Path

from comments.errors import StoreError

REMEDIES = {
    sqlite3.SQLITE_FULL: "make room on its disk; the service goes on by itself",
    sqlite3.SQLITE_READONLY: "let the service's user write to the file and to its folder",
    sqlite3.SQLITE_CANTOPEN: "let the service's user write to the file and to its folder",
    sqlite3.SQLITE_IOERR: "look after its disk: it is full, failing or at a limit",
    sqlite3.SQLITE_CORRUPT: "it is damaged: stop the service, keep a copy, and restore a backup or what `sqlite3 FILE "
    ".recover` saves",
    sqlite3.SQLITE_NOTADB: "it is damaged or was never one: restore a backup, or name another file in COMMENTS_STORE",
    sqlite3.SQLITE_BUSY: "end the other program that holds it",
}
FAILURES = (sqlite3.Error, OSError, ValueError, TypeError)
"""What reading or writing raises; the last two come from a damaged file: broken UTF-8, no id, a number for a text."""

NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}

PRIMARY = 0xFF
"""SQLite's extended codes keep the kind of error in their lowest byte."""


def store_error(doing: str, path: Path, error: Exception) -> StoreError:
    """Say what failed, and the remedy if there is a known one."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if isinstance(error, OSError):
        code = sqlite3.SQLITE_CANTOPEN if error.errno in NOT_ALLOWED else sqlite3.SQLITE_IOERR
    elif isinstance(error, ValueError | TypeError):
        code = sqlite3.SQLITE_CORRUPT
    remedy = REMEDIES.get(code & PRIMARY) if code is not None else None
    return StoreError(f"{doing.format(path=path)}: {error}" + (f"; {remedy}" if remedy else ""))
