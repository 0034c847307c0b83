"""The file that lists what an import left out, in whole, so that nothing is lost in silence."""

from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import orjson

from comments.transfer import Refused, TransferError

HEADER = b'{"report":"comments that were not imported"}\n'


class Report:
    """JSON Lines: each comment that was refused, and why. The file is there afterwards only if there was one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._count = 0

    def __enter__(self) -> Self:
        """Begin anew; raises TransferError if the file holds anything but such a report."""
        try:
            if self.path.exists() and not _is_report(self.path):
                raise TransferError(f"{self.path} is there and is not a report of an import: name another file")
            self._file: BinaryIO = self.path.open("wb")
            self._file.write(HEADER)
        except OSError as error:
            raise self._failed(error) from error
        return self

    def add(self, refused: Refused) -> None:
        line: dict[str, Any] = refused.record | {"errors": refused.errors}
        try:
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        except OSError as error:
            raise self._failed(error) from error
        self._count += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
            if not self._count:
                self.path.unlink()
        except OSError as failed:
            raise self._failed(failed) from failed

    def _failed(self, error: OSError) -> TransferError:
        return TransferError(f"the report {self.path} cannot be written: {error.strerror}")


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(HEADER)) in {b"", HEADER}
