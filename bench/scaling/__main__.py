"""Prints the tables of docs/scaling.md, or writes them into it: `python -m bench.scaling [--write]`."""

import argparse
import os
import re
from collections.abc import Mapping
from pathlib import Path

os.environ.setdefault("CDK_VALIDATION", "false")  # settings and prices need no validation

_DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENT = _DOCS / "scaling.md"
PICTURE = _DOCS / "images" / "spike.svg"


def filled(text: str, tables: Mapping[str, str]) -> str:
    """Return the document with each table in its place, between two comments of its name."""
    for name, table in tables.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        text, found = re.subn(
            f"{begin}.*?{end}", f"{begin}\n{table}\n{end}".replace("\\", "\\\\"), text, flags=re.DOTALL
        )
        if found != 1:
            raise SystemExit(f"error: {DOCUMENT} has {found} places for {name}; it needs {begin} and {end}, once")
    return text


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    parser.add_argument("--write", action="store_true", help="into docs/scaling.md and docs/images/spike.svg")
    options = parser.parse_args()
    from bench.scaling.picture import draw  # noqa: PLC0415  # synthesis, which --help can do without
    from bench.scaling.report import blocks  # noqa: PLC0415  # likewise

    tables = blocks()
    if options.write:
        DOCUMENT.write_text(filled(DOCUMENT.read_text(), tables))
        PICTURE.write_text(draw())
        return
    print(*tables.values(), sep="\n\n")


if __name__ == "__main__":
    main()
