"""How much is measured: all of it, or just enough to see that every part works."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Rounds are interleaved: in each, every server has its turn, so that a slow minute of the machine meets all."""

    stored: int
    """Comments in the large database."""

    sizes: tuple[int, ...]
    """Comments in the databases between the smallest and the large one, for the curve."""

    rounds: int
    seconds: float
    """How long each server is kept busy in a round, to find its most."""

    steady_rounds: int
    steady_seconds: float
    """The same at a fixed rate, where the slowest answers count: short rounds, as a machine's own pauses of 2 to 15 ms
    come every few hundred milliseconds and hit whoever has his turn; the median leaves those rounds out."""

    loads: tuple[float, ...]
    curve_seconds: float
    """Parts of the yardstick's most that the curve of answer times goes through, and how long each is kept up."""

    starts: int
    syntheses: int
    containers: int
    """Times that each is started or run."""

    downloads: bool
    """Whether Isso is installed if it is not there."""


FULL = Scale(
    stored=1_000_000,
    sizes=(1_000, 10_000, 100_000),
    rounds=16,
    seconds=0.5,
    steady_rounds=32,
    steady_seconds=0.5,
    loads=(0.1, 0.25, 0.4, 0.55, 0.7, 0.85),
    curve_seconds=2.0,
    starts=7,
    syntheses=5,
    containers=5,
    downloads=True,
)
QUICK = Scale(
    stored=2_000,
    sizes=(),
    rounds=1,
    seconds=0.1,
    steady_rounds=1,
    steady_seconds=0.1,
    loads=(0.2, 0.4),
    curve_seconds=0.1,
    starts=1,
    syntheses=1,
    containers=0,
    downloads=False,
)
