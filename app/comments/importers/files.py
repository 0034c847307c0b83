"""Files of the command line: errors as one line, and output that is complete or absent."""

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import click


@contextmanager
def file_errors(name: Path | str) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise click.ClickException("the program that reads the output exited before the export was complete") from None
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise click.ClickException(f"{name} is a damaged gzip file: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{name}: {error.strerror}") from error


@contextmanager
def open_binary(name: str, mode: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin or stdout for -."""
    standard = sys.stdin if mode == "rb" else sys.stdout
    if name == "-" and standard is None:  # its descriptor may belong to another file by now
        raise click.ClickException("stdin or stdout is closed")
    # At exit sys.stdout would try to flush a closed pipe again, so this does not use its buffer.
    file: IO[bytes]
    with file_errors(name), open(standard.fileno() if name == "-" else name, mode, closefd=name != "-") as file:
        yield file


def open_output(path: Path, header: bytes = b"") -> AbstractContextManager[IO[bytes]]:
    """Open a new file, or stdout for -."""
    return open_binary("-", "wb") if str(path) == "-" else _new_file(path, header)


@contextmanager
def _new_file(path: Path, header: bytes = b"") -> Iterator[IO[bytes]]:
    """Write to PATH.part, then rename it once it is complete and on disk. Only an earlier report is overwritten."""
    part = Path(f"{path}.part")
    with file_errors(path):
        if path.exists():
            with path.open("rb") as existing:
                if not header or existing.read(len(header)) != header:
                    raise click.ClickException(f"{path} exists; choose another file")
        try:
            # The file contains email addresses, so only its owner may read it.
            with open(part, "wb", opener=partial(os.open, mode=0o600)) as file:
                file.write(header)
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
