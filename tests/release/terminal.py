"""Runs a command in a pseudoterminal and reads its screen, or saves it as a picture for the docs.

`python -m tests.release.terminal PICTURE.svg COMMAND...` also saves the screen when it showed most lines that were gone
at the end.
"""

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

COLUMNS, LINES = 120, 60


def run_in_terminal(command: list[str], on_output: Callable[[str], object] = lambda _screen: None) -> str:
    """Return the screen after the command has ended; pass that of each moment to `on_output`."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    variables = os.environ | {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}
    ours, terminal = pty.openpty()
    with subprocess.Popen(command, env=variables, stdin=terminal, stdout=terminal, stderr=terminal):
        os.close(terminal)
        with suppress(OSError):  # Linux: EIO once the command has ended
            while output := os.read(ours, 4096):
                stream.feed(output)
                on_output(text_of(screen))
    os.close(ours)
    return text_of(screen)


def text_of(screen: pyte.Screen) -> str:
    return "\n".join(line.rstrip() for line in screen.display).rstrip()


def save(text: str, picture: Path, title: str) -> None:
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(Text(text))
    console.save_svg(str(picture), title=title)


def main(picture: Path, *command: str) -> None:
    moments: list[str] = []
    last = run_in_terminal([*command], moments.append)
    save(last, picture, " ".join(command))
    live = max(moments, key=lambda screen: len({*screen.splitlines()} - {*last.splitlines()}))
    save(live, picture.with_stem(f"{picture.stem}-live"), " ".join(command))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
