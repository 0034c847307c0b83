"""Ctrl-C and SIGTERM end a transfer between two of its parts, so that it can say how to go on."""

import signal
from types import FrameType, TracebackType
from typing import Self

from comments.transfer import TransferError


class Interrupted(TransferError):
    """Somebody ended the transfer; the exit status is the shell's own for that signal."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


class Interruption:
    """While open, the first signal is only noted; the second one ends the process at once, as it always did."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.status: int | None = None
        self._before = {number: signal.getsignal(number) for number in self.SIGNALS}

    def __enter__(self) -> Self:
        for number in self.SIGNALS:
            signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature of a handler
        self.status = 128 + number
        for every in self.SIGNALS:
            signal.signal(every, signal.SIG_DFL)
