"""Where an export goes on: a token for the command line, and a file beside an export that is not finished."""

import base64
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from comments.transfer import TransferError


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What was exported from a store: all in front of its token `after`, in so many bytes and comments."""

    store: str
    after: str | None = None
    size: int = 0
    comments: int = 0

    def token(self) -> str:
        """Return one word that a shell takes as it is."""
        return base64.urlsafe_b64encode(orjson.dumps([self.store, self.after])).decode().rstrip("=")

    @classmethod
    def of_token(cls, token: str, *, store: str) -> "Checkpoint":
        try:
            padded = token + "=" * (-len(token) % 4)
            origin, after = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        except ValueError:
            raise TransferError("--after must be the token that an interrupted export printed") from None
        if origin != store:
            raise TransferError(f"--after is the token of an export from {origin}, not from {store}")
        return cls(store=store, after=after)


def checkpoint_file(output: Path) -> Path:
    """Return the file that is there exactly as long as the export is not finished."""
    return output.with_name(f"{output.name}.resume")


def read_checkpoint(output: Path) -> Checkpoint | None:
    path = checkpoint_file(output)
    try:
        return Checkpoint(**orjson.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        raise TransferError(f"{path} is damaged: remove it and {output}, and export again") from None


def write_checkpoint(output: Path, checkpoint: Checkpoint) -> None:
    """Replace the file at once, so that a crash leaves the old one or the new one."""
    path = checkpoint_file(output)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(orjson.dumps(asdict(checkpoint)))
    fresh.replace(path)
