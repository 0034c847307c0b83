"""The command line, `python -m comments`: export and import, a person's data, and maintenance.

Exit status: 0 done, 1 failed, 2 invalid usage or settings, 3 done, but a report lists comments that were not imported.
"""

import gzip
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, NoReturn, cast

import click
import orjson
from pydantic import TypeAdapter, ValidationError

from comments import canonical
from comments.comment import Comment, compact
from comments.config import ConfigError, load_settings
from comments.errors import FieldError, InvalidRequest, StoreError, field_errors
from comments.fields import PATH_VARIABLES, Page
from comments.importers import formats, isso
from comments.importers.candidates import Candidate, Skipped, StoredComment, text_or_base64
from comments.importers.converter import Converter
from comments.importers.files import file_errors, open_binary, open_output
from comments.stores import CommentStore, open_store
from comments.strict_json import parse_json

BATCH = 500
"""Comments per write: one SQLite transaction."""

MAX_LINE = 1024 * 1024
"""Bytes. A comment needs at most about 65,000; a longer line is not part of an export and is not read into memory."""

INVALID = "invalid"
"""Reason for skipping comments that fail validation. All other reasons are intended."""

REPORT_HEADER = b'{"report":"comments that were skipped or changed"}\n'

echo = partial(click.echo, err=True)
progressbar = partial(click.progressbar, file=sys.stderr, update_min_steps=BATCH)


def main() -> NoReturn:
    """Run a command. Errors are one line on stderr, without characters that could control a terminal."""
    try:
        sys.exit(cli.main(prog_name="python -m comments", standalone_mode=False))
    except click.ClickException as error:
        message, status = error.format_message(), error.exit_code
    except click.Abort:
        message, status = "interrupted", 1
    echo("error: " + "".join(character if character.isprintable() else "?" for character in message))
    sys.exit(status)


@click.group(no_args_is_help=False)
def cli() -> None:
    """Move, export and erase comments."""


FILE = click.Path(path_type=Path)
store_option = click.option("--store", "url", metavar="URL", help="Store URL; default: COMMENTS_STORE.")


@cli.command()
@store_option
@click.option("--output", metavar="FILE", type=FILE, help="Create FILE once the export is complete; default: stdout.")
def export(url: str | None, output: Path | None) -> None:
    """Write all comments as JSON Lines."""
    exported = 0
    with (
        _store(url, read_only=True) as store,
        open_output(output or Path("-")) as file,
        progressbar(store.scan(), show_pos=True, label="Exporting", hidden=not sys.stderr.isatty()) as comments,
    ):
        for comment in comments:
            file.write(orjson.dumps(compact(comment), option=orjson.OPT_APPEND_NEWLINE))
            exported += 1
    echo(f"{exported:,} exported")


@cli.command()
@store_option
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def move(url: str | None, source: str, target: str) -> None:
    """Move the comments of a page that got another address. FROM and TO are addresses of pages, or content_ids.

    Comments keep their ids. Clients that follow TO may miss them, because they have old ids.
    """
    (old, old_page), (new, page) = _thread("FROM", source), _thread("TO", target)
    if old == new:
        raise click.UsageError("FROM and TO are the same thread")
    with _store(url) as store:
        echo(f"{store.move(old, new, page):,} moved from {old_page or old} to {page or new}")


@cli.command()
@store_option
def rebuild(url: str | None) -> None:
    """Complete what DynamoDB derives from comments: the list of the newest ones, and the counts of threads.

    Counts are exact if nobody posts in the meantime. SQLite does not need this.
    """
    with _store(url) as store:
        echo(f"{store.rebuild():,} published comments counted")


@cli.command()
@store_option
@click.argument("address", default="")
@click.option("--comment", "comment_id", metavar="ID", default="", help="A comment of the person, instead of ADDRESS.")
@click.option("--export", "action", flag_value="export", help="Write the comments to stdout as JSON Lines.")
@click.option("--erase", "action", flag_value="erase", help="Delete the comments for good.")
def person(*, url: str | None, address: str, comment_id: str, action: str | None) -> None:
    """Export or erase the comments of a person.

    These are the comments with this ADDRESS, in upper or lower case. With --comment, they are this comment and all
    others that were posted with the same Author-Token, for authors without an address.
    """
    if bool(address) == bool(comment_id) or not action:
        raise click.UsageError("give either ADDRESS or --comment ID, and either --export or --erase")
    found = 0
    with _store(url, read_only=action == "export") as store, open_output(Path("-")) as file:
        for comment in _comments_of(store, address.strip().casefold(), comment_id):
            if action == "export":
                file.write(orjson.dumps(comment, option=orjson.OPT_APPEND_NEWLINE))
            else:
                store.delete(comment["content_id"], comment["id"], distrust=True)
            found += 1
        if action == "erase":
            store.purge()
    if comment_id and not found:
        raise click.ClickException(f"no comment has the id {comment_id}")
    echo(f"{found:,} {'exported' if action == 'export' else 'erased'}")


def _comments_of(store: CommentStore, address: str, comment_id: str) -> Iterator[Comment]:
    """Yield the comments with an address, or with an id, and all others of its author."""
    author = next((each.get("author") for each in store.scan() if each["id"] == comment_id), None) if comment_id else ""
    for comment in store.scan():
        is_own = comment["id"] == comment_id or bool(author and comment.get("author") == author)
        if is_own or (address and comment.get("email", "").casefold() == address):
            yield comment


def _thread(name: str, value: str) -> tuple[int, str]:
    """Return the content_id, and the canonical address if it is one."""
    try:
        if value.isdecimal():
            return PATH_VARIABLES["content_id"].validate_python(value), ""
        page = TypeAdapter(Page).validate_python(value)
    except ValidationError as invalid:
        raise click.UsageError(f"{name} {field_errors(invalid)[0]['message']}") from None
    return canonical.thread_of(page), page


@cli.command("import")
@click.argument("source", metavar="FILE")
@store_option
@click.option("--from", "kind", type=click.Choice(tuple(formats.FORMATS)), help="Format of FILE; default: detect it.")
@click.option("--dry-run", is_flag=True, help="Store nothing, but check all comments and write the report.")
@click.option(
    "--report", metavar="REPORT", type=FILE, help="List what is skipped or changed in REPORT, or - for stdout."
)
@click.option(
    "--host", default="", metavar="HOST", help="Host of all pages, as data-host in the page; default: only their paths."
)
@click.option("--threads", metavar="MAPPING.json", type=FILE, help="JSON with the page or content_id of each thread.")
def import_(
    *,
    source: str,
    url: str | None,
    kind: str | None,
    dry_run: bool,
    report: Path | None,
    host: str,
    threads: Path | None,
) -> int:
    """Import comments that the store does not have yet. Safe to repeat.

    FILE is an export of this service, Disqus, WordPress, remark42, Commento or Comentario, which may be compressed with
    gzip, or the SQLite database of Isso. It may be - for stdin.

    Without a report, the import of an export stops at the first invalid line. Other files are imported as a whole, and
    their report is FILE.report.jsonl unless you choose another one.
    """
    with open_binary(source, "rb") as file:
        size = os.fstat(file.fileno()).st_size  # 0 for a pipe
        stream = cast(BufferedReader, file)
        if stream.peek(2).startswith(b"\x1f\x8b"):
            stream, size = BufferedReader(gzip.GzipFile(fileobj=stream)), 0
        kind = kind or formats.detect(stream.peek())
        if kind == "export":
            if host or threads:
                raise click.UsageError("--host and --threads are for files of other systems than this service")
            return _import(url, _read_lines(stream, source), steps=size, report=report, dry_run=dry_run)
        if source == "-" and (kind == "isso" or not report):
            raise click.UsageError("the database of Isso must be a file" if report else "- needs --report REPORT")
        if not kind:
            hint = "unpack archives such as .zip, or name the format with --from"
            raise click.ClickException(f"{source} has none of the supported formats; {hint}")
        records = isso.read(Path(source)) if kind == "isso" else [*formats.READERS[kind](stream.read(), source)]
    candidates = Converter(records, host=host, mapping=threads).candidates()
    report = report or Path(f"{source}.report.jsonl")
    return _import(url, candidates, steps=len(candidates), report=report, dry_run=dry_run)


def _import(url: str | None, candidates: Iterable[Candidate], *, steps: int, report: Path | None, dry_run: bool) -> int:
    valid = stored = 0
    counted: set[tuple[int, str]] = set()  # what a dry run would have stored by now
    with (
        _store(url, read_only=dry_run, or_empty=dry_run) as store,
        open_output(report, REPORT_HEADER) if report else nullcontext() as file,
        progressbar(length=steps, label="Importing", hidden=not (steps and sys.stderr.isatty())) as progress,
    ):
        log = _Report(file)
        comments = log.valid(candidates, progress.update)
        while batch := list(islice(comments, BATCH)):
            valid += len(batch)
            new = {(each["content_id"], each["id"]): each for each in reversed(batch)}
            if dry_run:
                new = {key: new[key] for key in new.keys() - counted}
                counted |= new.keys()
            # The same id may occur in two threads, but not in one call of the store.
            unique = len({comment_id for _, comment_id in new}) == len(new)
            calls = [[*new.values()]] if unique else [[comment] for comment in new.values()]
            stored += sum(store.restore(call, dry_run=dry_run) for call in calls)
    total = log.skipped.total()
    reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(log.skipped.items()))
    counts = f"{valid + total:,} read, {stored:,} stored, {valid - stored:,} already there, {total:,} skipped"
    echo(("dry run: " if dry_run else "") + counts + (f": {reasons}" if reasons else ""))
    if report and str(report) != "-":
        if log.lines:
            echo(f"{report} lists what was skipped or changed, with the reason")
        else:
            report.unlink()
    return 3 if log.skipped[INVALID] else 0


class _Report:
    """Counts what is skipped, and writes it and what is changed to a file, if there is one."""

    def __init__(self, file: IO[bytes] | None) -> None:
        self.skipped: Counter[str] = Counter()
        self.lines = 0
        self._file = file

    def valid(self, candidates: Iterable[Candidate], progress: Callable[[int], None]) -> Iterator[Comment]:
        """Yield what may be stored. Without a file, raises ClickException for the first comment that is invalid."""
        for candidate in candidates:
            progress(candidate.size)
            try:
                comment = candidate.parse()
            except Skipped as reason:
                self._add(candidate, str(reason))
            except InvalidRequest as invalid:
                if not self._file:
                    place = f"line {candidate.original['line']}"
                    message = f"{place}: {invalid.message}; correct it, or skip such lines with --report"
                    raise click.ClickException(message) from None
                self._add(candidate, INVALID, errors=invalid.errors)
            else:
                if candidate.changes:
                    self._add(candidate, changed=candidate.changes)
                yield comment

    def _add(self, candidate: Candidate, skipped: str = "", **details: Sequence[FieldError]) -> None:
        self.skipped.update([skipped] if skipped else [])
        self.lines += 1
        if self._file:
            line = candidate.original | ({"skipped": skipped} if skipped else {}) | details
            self._file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _read_lines(stream: BufferedReader, source: str) -> Iterator[Candidate]:
    with file_errors(source):
        for number, line in enumerate(iter(partial(stream.readline, MAX_LINE + 1), b""), 1):
            if len(line) > MAX_LINE:
                raise click.ClickException(f"line {number} has more than {MAX_LINE} bytes: {source} is not an export")
            original = {"line": number, "text": text_or_base64(line.rstrip(b"\r\n"))}
            yield Candidate(original, partial(_parse_line, line), size=len(line))


def _parse_line(line: bytes) -> Comment:
    try:
        return StoredComment.parse(parse_json(line.rstrip(b"\r\n")))
    except InvalidRequest as invalid:
        for error in invalid.errors:
            error["message"] = error["message"].replace(" at line 1 column ", " at column ")
        if not line.endswith(b"\n"):
            invalid.errors[-1]["message"] += " (the last line has no line break: the file may be truncated)"
        raise InvalidRequest(*invalid.errors) from None


@contextmanager
def _store(url: str | None, *, read_only: bool = False, or_empty: bool = False) -> Iterator[CommentStore]:
    """Open the store. Convert ConfigError and StoreError to click's errors, which name --store if it was used.

    With or_empty, a temporary store takes the place of a missing SQLite database.
    """
    name = "--store" if url else "COMMENTS_STORE"
    try:
        url = load_settings(**({"store": url} if url else {})).store
        path = Path(url.removeprefix("sqlite:///"))
        missing = read_only and url.startswith("sqlite:") and not path.is_file()
        if missing and not or_empty:
            raise click.UsageError(f"{name}: there is no SQLite database at {path}")
        with TemporaryDirectory() if missing else nullcontext() as empty:
            url = f"sqlite:///{empty}/comments.db" if empty else url
            with closing(open_store(url, read_only=read_only and not missing, patient=True)) as store:
                yield store
    except ConfigError as error:
        raise click.UsageError(str(error).replace("COMMENTS_STORE", name)) from error
    except StoreError as error:
        raise click.ClickException(error.message.replace("COMMENTS_STORE", name)) from error
    except (KeyboardInterrupt, RuntimeError) as error:
        # Interrupted while it takes a lock, a Future raises a RuntimeError instead.
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise click.ClickException("interrupted; run the same command again") from None
