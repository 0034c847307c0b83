"""Moves all comments: `python -m comments export` writes them as JSON Lines, `import` reads those, or Isso's database.

Exit status: 0 all of it, 1 failed, 2 wrong arguments or settings, 3 done but for what a report lists, 130 interrupted.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from comments.errors import StoreError
from comments.settings import Settings, SettingsError
from comments.transfer import TransferError, commands
from comments.transfer.interruption import Interrupted

FAILED, WRONG, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(WRONG, f"error: {message}; see {self.prog} --help\n")


def arguments() -> Parser:
    parser = Parser(prog="python -m comments", description="Move all comments out of a store, or into one.")
    actions = parser.add_subparsers(dest="action", metavar="export | import", required=True)

    export = actions.add_parser("export", help="write every comment as JSON Lines", allow_abbrev=False)
    where = export.add_mutually_exclusive_group()
    where.add_argument("--output", metavar="FILE", type=Path, help="go on in this file instead of writing to stdout")
    where.add_argument("--after", metavar="TOKEN", help="go on where an interrupted export said that it stopped")

    import_ = actions.add_parser("import", help="read comments and keep those that are not there", allow_abbrev=False)
    import_.add_argument("source", metavar="FILE", help="an export, - for stdin; with --from isso: Isso's database")
    import_.add_argument("--from", dest="kind", choices=["export", "isso"], default="export")
    import_.add_argument("--skip-bad", metavar="REPORT", type=Path, help="list bad lines, do not stop")
    isso = import_.add_argument_group("with --from isso")
    isso.add_argument("--threads", metavar="MAPPING.json", type=Path, help="the content_id of each address; drafted")
    isso.add_argument("--missing-email", metavar="skip|ADDRESS", help="for comments without one; skip lists them")
    isso.add_argument("--report", metavar="REPORT", type=Path, help="what was left out; default: beside MAPPING.json")

    for action in (export, import_):
        action.add_argument(
            "--store", metavar="URL", help="sqlite:///PATH or dynamodb://TABLE; default: COMMENTS_STORE"
        )
    return parser


def checked(parser: Parser, options: argparse.Namespace) -> argparse.Namespace:
    """Refuse options that would be ignored: each belongs to one kind of source."""
    if options.action == "import":
        of_isso = {"--threads": options.threads, "--missing-email": options.missing_email, "--report": options.report}
        given = [name for name, value in of_isso.items() if value is not None]
        if options.kind != "isso" and given:
            parser.error(f"{given[0]} goes with --from isso only")
        if options.kind == "isso" and options.skip_bad:
            parser.error("--skip-bad is for exports; comments of Isso that cannot be imported are always in --report")
        if options.kind == "isso" and not options.threads:
            parser.error("--from isso needs --threads MAPPING.json; if that file is not there, a draft is written")
    return options


def main(given: Sequence[str] | None = None) -> int:
    parser = arguments()
    options = checked(parser, parser.parse_args(given))
    # Both name the variable; whoever gave the option must look there.
    name = "--store" if options.store else "COMMENTS_STORE"
    environ = dict(os.environ) | ({"COMMENTS_STORE": options.store} if options.store else {})
    try:
        url = Settings.from_environment(environ).store
        return commands.export(options, url) if options.action == "export" else commands.import_(options, url)
    except SettingsError as error:
        return failed(str(error).replace("COMMENTS_STORE", name), WRONG)
    except Interrupted as error:
        return failed(str(error), error.status)
    except TransferError as error:
        return failed(str(error), FAILED)
    except StoreError as error:
        return failed(error.message.replace("COMMENTS_STORE", name), FAILED)
    except KeyboardInterrupt:
        return failed("interrupted before anything was done", INTERRUPTED)


def failed(message: str, status: int) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
