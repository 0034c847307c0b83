"""The command line, `python -m comments`: export and import.

Exit status: 0 done, 1 failed, 2 invalid usage or settings, 3 done, but a report lists comments that were not imported.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from itertools import islice
from pathlib import Path
from typing import IO, NoReturn

import click
import orjson
from pydantic import TypeAdapter, ValidationError

from comments import canonical, isso
from comments.config import ConfigError, load_settings
from comments.errors import InvalidRequest, StoreError, field_errors
from comments.records import Candidate, StoredComment, file_errors, text_or_base64
from comments.schemas import PATH, Comment, Page
from comments.stores import CommentStore, open_store
from comments.strict_json import parse_json

BATCH = 500
"""Comments per write: one SQLite transaction."""

MAX_LINE = 1024 * 1024
"""Bytes. A comment needs at most about 65,000; a longer line is not part of an export and is not read into memory."""

REPORT_HEADER = b'{"report":"comments that were not imported"}\n'

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
    """Move comments between stores."""


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
        _new_file(output) if output and str(output) != "-" else _open("-", "wb") as file,
        progressbar(store.scan(), show_pos=True, label="Exporting", hidden=not sys.stderr.isatty()) as comments,
    ):
        for comment in comments:
            file.write(orjson.dumps(comment, option=orjson.OPT_APPEND_NEWLINE))
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
    (old, _), (new, page) = _thread("FROM", source), _thread("TO", target)
    if old == new:
        raise click.UsageError("FROM and TO are the same thread")
    with _store(url) as store:
        echo(f"{store.move(old, new, page):,} moved")


def _thread(name: str, value: str) -> tuple[int, str]:
    """Return the content_id, and the canonical address if it is one."""
    try:
        if value.isdecimal():
            return PATH["content_id"].validate_python(value), ""
        page = TypeAdapter(Page).validate_python(value)
    except ValidationError as invalid:
        raise click.UsageError(f"{name} {field_errors(invalid)[0]['message']}") from None
    return canonical.thread_of(page), page


@cli.command("import")
@click.argument("source", metavar="FILE")
@store_option
@click.option("--from", "kind", type=click.Choice(["export", "isso"]), default="export", help="Format of FILE.")
@click.option("--skip-bad", metavar="REPORT", type=FILE, help="List invalid lines in REPORT instead of stopping.")
@click.option("--threads", metavar="MAPPING.json", type=FILE, help="Isso: JSON with the content_id of each thread.")
@click.option("--missing-email", metavar="skip|ADDRESS", help="Isso: address for comments without one; default: skip.")
@click.option("--report", metavar="REPORT", type=FILE, help="Isso: list comments that were not imported in REPORT.")
def import_(
    *,
    source: str,
    url: str | None,
    kind: str,
    skip_bad: Path | None,
    threads: Path | None,
    missing_email: str | None,
    report: Path | None,
) -> int:
    """Import comments that the store does not have yet. Safe to repeat.

    FILE is an export, - for stdin, or with --from isso the SQLite database of Isso.
    """
    if kind == "isso":
        if skip_bad or not threads:
            raise click.UsageError("--from isso needs --threads MAPPING.json, and --report instead of --skip-bad")
        comments, note = isso.read(Path(source), threads, None if missing_email == "skip" else missing_email)
        echo("Isso never shows email addresses; this service does, unless COMMENTS_EMAILS is mask or hide")
        report = report or threads.with_suffix(".report.jsonl")
        return _import(url, comments, steps=len(comments), report=report, note=f"; {note}")
    if threads or missing_email or report:
        raise click.UsageError("--threads, --missing-email and --report need --from isso")
    with _open(source, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size  # 0 for a pipe
        return _import(url, _read_lines(stream, source), steps=size, report=skip_bad)


def _import(
    url: str | None, candidates: Iterable[Candidate], *, steps: int, report: Path | None, note: str = ""
) -> int:
    imported = present = skipped = 0

    def valid() -> Iterator[Comment]:
        nonlocal skipped
        for candidate in candidates:
            progress.update(candidate.size)
            try:
                yield candidate.parse()
            except InvalidRequest as invalid:
                if file is None:
                    message = f"{candidate.place}: {invalid.message}; correct it, or skip such lines with --skip-bad"
                    raise click.ClickException(message) from None
                record = candidate.original | {"errors": invalid.errors}
                file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
                skipped += 1

    with (
        _store(url) as store,
        _new_file(report, REPORT_HEADER) if report else nullcontext() as file,
        progressbar(length=steps, label="Importing", hidden=not (steps and sys.stderr.isatty())) as progress,
    ):
        comments = valid()
        while batch := list(islice(comments, BATCH)):
            # The same id may occur in two threads, but not in one call of the store.
            unique = len({comment["id"] for comment in batch}) == len(batch)
            new = store.restore(batch) if unique else sum(store.restore([comment]) for comment in batch)
            imported += new
            present += len(batch) - new
    echo(f"{imported:,} imported, {present:,} already there{note}")
    if not skipped:
        if report:
            report.unlink()
        return 0
    echo(f"{skipped:,} NOT imported; {report} lists each with the reason")
    return 3


def _read_lines(stream: IO[bytes], source: str) -> Iterator[Candidate]:
    with file_errors(source):
        for number, line in enumerate(iter(partial(stream.readline, MAX_LINE + 1), b""), 1):
            if len(line) > MAX_LINE:
                raise click.ClickException(f"line {number} has more than {MAX_LINE} bytes: {source} is not an export")
            original = {"line": number, "text": text_or_base64(line.rstrip(b"\r\n"))}
            yield Candidate(f"line {number}", original, partial(_parse_line, line), size=len(line))


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
def _store(url: str | None, *, read_only: bool = False) -> Iterator[CommentStore]:
    """Open the store. Convert ConfigError and StoreError to click's errors, which name --store if it was used."""
    name = "--store" if url else "COMMENTS_STORE"
    try:
        url = load_settings(**({"store": url} if url else {})).store
        path = Path(url.removeprefix("sqlite:///"))
        if read_only and url.startswith("sqlite:") and not path.is_file():
            raise click.UsageError(f"{name}: there is no SQLite database at {path}")
        with closing(open_store(url, read_only=read_only)) as store:
            yield store
    except ConfigError as error:
        raise click.UsageError(str(error).replace("COMMENTS_STORE", name)) from error
    except StoreError as error:
        raise click.ClickException(error.message.replace("COMMENTS_STORE", name)) from error
    except (KeyboardInterrupt, RuntimeError) as error:
        # Interrupted while it takes a lock, ThreadPoolExecutor raises a RuntimeError instead.
        if not isinstance(error, KeyboardInterrupt) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        raise click.ClickException("interrupted; run the same command again") from None


@contextmanager
def _open(name: str, mode: str) -> Iterator[IO[bytes]]:
    """Open a file, or stdin or stdout for -."""
    standard = sys.stdin if mode == "rb" else sys.stdout
    if name == "-" and standard is None:  # its descriptor may belong to another file by now
        raise click.ClickException("stdin or stdout is closed")
    # At exit sys.stdout would try to flush a closed pipe again, so this does not use its buffer.
    file: IO[bytes]
    with file_errors(name), open(standard.fileno() if name == "-" else name, mode, closefd=name != "-") as file:
        yield file


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
