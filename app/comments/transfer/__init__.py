"""All comments in and out, for the command line: from one store to another, and from Isso."""

from dataclasses import dataclass
from typing import Any

from comments.errors import FieldError


class TransferError(Exception):
    """Why a transfer ended early, and what to do next; the command line prints it as its one line."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A comment that cannot be imported: where it stands, what is wrong with it, and all of it for the report."""

    place: str
    errors: list[FieldError]
    record: dict[str, Any]

    @property
    def reason(self) -> str:
        # A field's name may be anything that stands in the file, also what would move a terminal's cursor.
        text = "; ".join(f"{error['field']}: {error['message']}" for error in self.errors)
        return "".join(character if character.isprintable() else "?" for character in text)
