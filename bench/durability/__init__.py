"""Whether an acknowledged comment survives what kills the service: `python -m bench.durability`."""

import random

CHANCE = random.Random()  # noqa: S311  # who is killed, and when, is no secret
