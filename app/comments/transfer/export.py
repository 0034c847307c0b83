"""All comments of a store as JSON Lines, part by part, to stdout or to a file in which it goes on."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from comments.errors import StoreError
from comments.store import CommentStore
from comments.transfer import TransferError
from comments.transfer.checkpoint import Checkpoint, checkpoint_file, read_checkpoint, write_checkpoint
from comments.transfer.interruption import Interrupted, Interruption
from comments.transfer.lines import dump
from comments.transfer.progress import Progress

PART = 1_000
"""Comments between two checkpoints: some 20 ms of work, and at most what a page of the API holds."""

STDOUT = 1


def export_to_stdout(store: CommentStore, start: Checkpoint, progress: Progress) -> None:
    try:
        _export(store, start, progress, lambda _, data: _write(STDOUT, data), "--after {token}")
    except BrokenPipeError:
        raise TransferError("the program that reads the output has ended before the export did") from None
    except OSError as error:
        raise TransferError(f"the output cannot be written: {error.strerror}") from error


def export_to_file(store: CommentStore, url: str, output: Path, progress: Progress) -> None:
    """Go on with what the file holds up to its checkpoint: behind it may be a torn line, which is cut off."""
    try:
        start = _begin(url, output)
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _cut(file, output, start)

            def keep(checkpoint: Checkpoint, data: bytes) -> None:
                _write(file, data)
                os.fsync(file)
                # Behind the last part there is no token: until the file beside is gone, that part is to be done again.
                if checkpoint.after is not None:
                    write_checkpoint(output, checkpoint)

            progress.count = start.comments
            _export(store, start, progress, keep, f"--output {output}")
        finally:
            os.close(file)
        checkpoint_file(output).unlink()
    except OSError as error:
        raise TransferError(f"{error.filename or output} cannot be written: {error.strerror}") from error


def _export(
    store: CommentStore,
    start: Checkpoint,
    progress: Progress,
    keep: Callable[[Checkpoint, bytes], None],
    go_on: str,
) -> None:
    """Hand each part to `keep` together with the checkpoint behind it."""
    done = start
    with Interruption() as interruption:
        while True:
            next_step = f"go on with {go_on.format(token=done.token())}"
            if interruption.status:
                raise Interrupted(f"interrupted; {next_step}", status=interruption.status)
            try:
                part = store.scan(after=done.after, limit=PART)
            except StoreError as error:
                raise TransferError(f"{error.message}; {next_step}") from error
            data = dump(part.comments)
            done = replace(
                done,
                after=part.after,
                size=done.size + len(data),
                comments=done.comments + len(part.comments),
            )
            keep(done, data)
            progress.add(len(part.comments))
            if part.after is None:
                return


def _begin(url: str, output: Path) -> Checkpoint:
    """Return where to begin; raises TransferError when the file is anything but an unfinished export of this store."""
    found = read_checkpoint(output)
    if found is None:
        if output.exists() and output.stat().st_size:
            raise TransferError(f"{output} is there and is not an unfinished export: name another file, or remove it")
        found = Checkpoint(store=url)
        write_checkpoint(output, found)
    if found.store != url:
        raise TransferError(f"{output} was begun from {found.store}, not from {url}: name another file")
    return found


def _cut(file: int, output: Path, start: Checkpoint) -> None:
    size = os.fstat(file).st_size
    if size < start.size:
        raise TransferError(
            f"{output} has {size} bytes but was exported up to {start.size}: "
            f"remove it and {checkpoint_file(output)}, and export again"
        )
    os.ftruncate(file, start.size)
    os.lseek(file, 0, os.SEEK_END)


def _write(file: int, data: bytes) -> None:
    """Write all of it, without a buffer that would be flushed again, in vain, at the exit."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
