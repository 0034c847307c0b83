"""The two commands: what each opens, in which order, and the line with which it ends."""

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path

import orjson

from comments.errors import InvalidRequest
from comments.models import Comment, NewComment
from comments.store import open_store
from comments.transfer import Refused, TransferError
from comments.transfer.checkpoint import Checkpoint, checkpoint_file
from comments.transfer.export import export_to_file, export_to_stdout
from comments.transfer.isso import Isso
from comments.transfer.lines import read_source
from comments.transfer.load import Loaded, load
from comments.transfer.progress import Progress
from comments.transfer.report import Report
from comments.transfer.threads import content_ids

LEFT_OUT = 3
"""Exit status when the report lists something: a script must not take that for all."""


def export(options: argparse.Namespace, url: str) -> int:
    start = Checkpoint.of_token(options.after, store=url) if options.after else Checkpoint(store=url)
    with closing(open_store(_existing(url))) as store, _progress("exported") as progress:
        if options.output:
            export_to_file(store, url, options.output, progress)
        else:
            export_to_stdout(store, start, progress)
    _say(progress)
    return 0


def import_(options: argparse.Namespace, url: str) -> int:
    if options.kind == "isso":
        return _import_from_isso(options, url)
    report = Report(options.skip_bad) if options.skip_bad else None
    path = Path(options.source)
    if checkpoint_file(path).exists():
        raise TransferError(f"{path} is not finished: end that export first, by running it again with --output")
    loaded = _load(url, read_source(options.source), report)
    return _conclude(loaded, report)


def _import_from_isso(options: argparse.Namespace, url: str) -> int:
    missing_email = _missing_email(options.missing_email or "skip")
    isso = Isso(Path(options.source))
    mapping = content_ids(options.threads, isso.threads())
    report = Report(options.report or options.threads.with_suffix(".report.jsonl"))
    loaded = _load(url, isso.comments(mapping, missing_email=missing_email), report)
    _say("Isso never shows emails; this service does, unless COMMENTS_EMAILS is mask or hide")
    return _conclude(loaded, report, f"; {isso.deleted:,} deleted in Isso, {isso.unwanted:,} of threads set to null")


def _missing_email(given: str) -> str | None:
    if given == "skip":
        return None
    try:
        NewComment.parse(orjson.dumps({"content_id": 1, "email": given, "comment": "x"}))
    except InvalidRequest as invalid:
        raise TransferError(f"--missing-email must be skip or an address: {invalid.message}") from None
    return given


def _load(url: str, source: Iterable[Comment | Refused], report: Report | None) -> Loaded:
    with closing(open_store(url)) as store, report or nullcontext(), _progress("read") as progress:
        loaded = load(store, source, report, progress)
    _say(progress)
    return loaded


def _conclude(loaded: Loaded, report: Report | None, more: str = "") -> int:
    _say(f"{loaded}{more}")
    if loaded.left_out and report:
        _say(f"{loaded.left_out:,} were NOT imported: {report.path} lists each of them with the reason")
        return LEFT_OUT
    return 0


def _existing(url: str) -> str:
    """Return the URL of a store that is there: opening SQLite would make an empty file out of a typo."""
    if url.startswith("sqlite:///") and not (path := Path(url.removeprefix("sqlite:///"))).is_file():
        raise TransferError(f"there is no store at {path}: name it by --store or COMMENTS_STORE")
    return url


@contextmanager
def _progress(done: str) -> Iterator[Progress]:
    progress = Progress(done)
    try:
        yield progress
    finally:
        progress.clear()


def _say(line: object) -> None:
    print(line, file=sys.stderr)
