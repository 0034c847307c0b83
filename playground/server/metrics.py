"""CloudWatch: what the playground measures itself, gathered for a second and stored as AWS names it."""

import threading
import time
from collections import Counter, defaultdict

from ministack.services import cloudwatch

Dimensions = tuple[tuple[str, str], ...]
Key = tuple[str, str, Dimensions]
KEPT_SECONDS = 3 * 3600  # AWS keeps points of a minute for 15 days; a playground's memory is smaller


class Metrics:
    """Counts and values since the last flush."""

    def __init__(self) -> None:
        self._counts: defaultdict[Key, float] = defaultdict(float)
        self._values: defaultdict[Key, list[float]] = defaultdict(list)
        self._lock = threading.Lock()

    def count(self, namespace: str, name: str, dimensions: Dimensions, number: float = 1) -> None:
        """Add to a metric that is read by its sum."""
        with self._lock:
            self._counts[namespace, name, dimensions] += number

    def observe(self, namespace: str, name: str, dimensions: Dimensions, value: float) -> None:
        """Add one value to a metric that is read by its average, maximum or a percentile."""
        with self._lock:
            self._values[namespace, name, dimensions].append(value)

    def flush(self) -> None:
        """Hand everything over to CloudWatch."""
        with self._lock:
            counts, self._counts = self._counts, defaultdict(float)
            values, self._values = self._values, defaultdict(list)
        now = time.time()
        for (namespace, name, dimensions), number in counts.items():
            cloudwatch._store_datum(namespace, name, dict(dimensions), now, "Count", number, None, None, None)
        for (namespace, name, dimensions), several in values.items():
            tally = Counter(round(value, 4) for value in several)
            cloudwatch._store_datum(
                namespace, name, dict(dimensions), now, "None", None, list(tally), list(tally.values()), None
            )

    def forget_old(self) -> None:
        oldest = time.time() - KEPT_SECONDS
        for key, points in cloudwatch._metrics.items():
            cloudwatch._metrics[key] = [point for point in points if point["Timestamp"] >= oldest]


METRICS = Metrics()
