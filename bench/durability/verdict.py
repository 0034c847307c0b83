"""What the clients were promised, held against what is there."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.durability.clients import Ledger


@dataclass(frozen=True, kw_only=True)
class Verdict:
    where: str
    kills: Mapping[str, int]
    acknowledged: int
    retried: int
    lost: int
    doubled: int
    missed: int
    hands: int
    """Starts that needed somebody, and posts that were never answered."""

    @property
    def holds(self) -> bool:
        return self.acknowledged > 0 and not (self.lost or self.doubled or self.missed or self.hands)

    def row(self) -> str:
        kills = f"{sum(self.kills.values())} ({', '.join(f'{count} {what}' for what, count in self.kills.items())})"
        cells = (self.where, kills, f"{self.acknowledged:,}", f"{self.retried:,}")
        return f"| {' | '.join(cells)} | {self.lost} | {self.doubled} | {self.missed} | {self.hands} |"


HEADER = (
    "| store | kills | acknowledged | attempts that failed | lost | doubled | missed by the follower | needed hands |\n"
    "|---|---|---|---|---|---|---|---|"
)


def judge(
    where: str, *, kills: Mapping[str, int], ledger: Ledger, listed: Iterable[Mapping[str, Any]], hands: int
) -> Verdict:
    """Compare; a comment that was acknowledged under one id and is listed under another counts as lost."""
    there = {(comment["comment"], comment["id"]) for comment in listed}
    texts = Counter(text for text, _ in there)
    ids = set(ledger.acknowledged.values())
    return Verdict(
        where=where,
        kills=kills,
        acknowledged=len(ledger.acknowledged),
        retried=ledger.retries.total(),
        lost=len(set(ledger.acknowledged.items()) - there),
        doubled=sum(count - 1 for count in texts.values()),
        missed=len(ids - ledger.followed),
        hands=hands + ledger.gave_up,
    )
