"""Comments from any source into a store, in batches; doing it again changes nothing."""

from collections.abc import Iterable
from dataclasses import dataclass

from comments.errors import StoreError
from comments.models import Comment
from comments.store import CommentStore
from comments.transfer import Refused, TransferError
from comments.transfer.interruption import Interrupted, Interruption
from comments.transfer.progress import Progress
from comments.transfer.report import Report

BATCH = 500
"""Comments in one call of the store: one transaction of SQLite, thirty requests to DynamoDB."""

AGAIN = "run the same command again to go on; nothing is doubled"


@dataclass
class Loaded:
    """How many comments were imported, were there already, and were left out with a line in the report."""

    imported: int = 0
    present: int = 0
    left_out: int = 0

    def __str__(self) -> str:
        return f"{self.imported:,} imported, {self.present:,} already there"


def load(store: CommentStore, source: Iterable[Comment | Refused], report: Report | None, progress: Progress) -> Loaded:
    """Keep all comments of a source; raises TransferError at the first refused one if there is no report for it."""
    loaded = Loaded()
    batch: dict[str, Comment] = {}

    def flush() -> None:
        try:
            new = store.restore(list(batch.values()))
        except StoreError as error:
            raise TransferError(f"{error.message}; {loaded} until then; {AGAIN}") from error
        loaded.imported += new
        loaded.present += len(batch) - new
        progress.add(len(batch))
        batch.clear()

    with Interruption() as interruption:
        for candidate in source:
            if isinstance(candidate, Refused):
                if report is None:
                    flush()
                    raise TransferError(
                        f"{candidate.place}: {candidate.reason}; {loaded} before it. Correct it, or list "
                        "all such lines in a file with --skip-bad REPORT, and run this again; nothing is doubled"
                    )
                report.add(candidate)
                loaded.left_out += 1
            else:
                # An id twice, such as in two threads, is for the store to judge, not for a batch to lose.
                if len(batch) == BATCH or candidate["id"] in batch:
                    flush()
                batch[candidate["id"]] = candidate
            if interruption.status:
                break
        flush()
        if interruption.status:
            raise Interrupted(f"interrupted: {loaded} until then; {AGAIN}", status=interruption.status)
    return loaded
