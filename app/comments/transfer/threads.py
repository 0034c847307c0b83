"""Which thread of ours an address of Isso becomes: a JSON file that the operator decides on."""

from collections.abc import Mapping
from pathlib import Path

import jiter
import orjson

from comments.models import MAX_CONTENT_ID
from comments.transfer import TransferError

SHOWN = 3
"""Addresses named in a message at the most."""


def content_ids(path: Path, threads: Mapping[str, int]) -> dict[str, int | None]:
    """Read the content_id of every thread, None for one to leave out; writes a draft and raises if there is no file."""
    try:
        mapping = jiter.from_json(path.read_bytes(), catch_duplicate_keys=True)
    except FileNotFoundError:
        _draft(path, threads)
        raise TransferError(
            f"{path} was not there, so a draft was written: every address with its number in Isso as content_id. "
            "Put in the numbers that your pages use, or null to leave a thread out, and run this again"
        ) from None
    except OSError as error:
        raise TransferError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise TransferError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(mapping, dict):
        raise TransferError(f'{path} must be a JSON object such as {{"/posts/hello/": 1}}')
    for address, content_id in mapping.items():
        if content_id is not None and not (type(content_id) is int and 1 <= content_id <= MAX_CONTENT_ID):
            raise TransferError(
                f"{path}: {address!r} must have a content_id from 1 to {MAX_CONTENT_ID}, or null to be left out"
            )
    missing = [address for address in threads if address not in mapping]
    if missing:
        named = ", ".join(map(repr, missing[:SHOWN])) + (", …" if len(missing) > SHOWN else "")
        raise TransferError(f"{path} lacks {len(missing)} of {len(threads)} threads: {named}; add each, or null")
    return mapping


def _draft(path: Path, threads: Mapping[str, int]) -> None:
    try:
        with path.open("xb") as file:
            file.write(orjson.dumps(threads, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    except OSError as error:
        raise TransferError(f"{path} cannot be written: {error.strerror}") from error
