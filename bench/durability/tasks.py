"""The service in the playground, whose tasks' containers are killed one by one behind its balancer."""

import subprocess
import time

from bench.durability import CHANCE
from bench.durability.clients import Clients
from bench.durability.verdict import Verdict, judge
from infra.playground.client import load_environment
from infra.playground.state import Playground, PlaygroundError

REPLACED = 120.0
"""Seconds for a killed task to be replaced."""

BACK = 5.0
"""Seconds that a follower goes back on DynamoDB, where ids follow the clocks of several tasks."""

PACE = 0.05
"""Seconds between two posts of a client: a task has a quarter of a core, and shall still be able to start."""

SINCE = 1_000_000
"""The threads from which one is drawn: a playground may have been used before."""


def containers() -> list[str]:
    """Return the tasks' containers that run."""
    label = f"label={Playground.from_environment().label}"
    command = ["docker", "ps", "--quiet", "--no-trunc", "--filter", label]
    return subprocess.check_output(command, text=True).split()


def kill_tasks(*, kills: int) -> Verdict:
    try:
        url = load_environment()["PLAYGROUND_URL"]
    except PlaygroundError as error:
        raise SystemExit(f"error: {error}") from error
    running = len(containers())
    hands = 0
    clients = Clients(url, thread=CHANCE.randrange(SINCE, 2**53), back=BACK, pace=PACE)
    with clients:
        for _ in range(kills):
            time.sleep(CHANCE.uniform(0.2, 2))
            victim = CHANCE.choice(containers())
            subprocess.run(["docker", "kill", victim], check=True, capture_output=True)
            hands += not _replaced(victim, running)
    return judge(
        f"DynamoDB's engine, {running} tasks",
        kills={"task": kills},
        ledger=clients.ledger,
        listed=clients.listed(),
        hands=hands,
    )


def _replaced(victim: str, running: int) -> bool:
    end = time.monotonic() + REPLACED
    while time.monotonic() < end:
        now = containers()
        if victim not in now and len(now) >= running:
            return True
        time.sleep(0.3)
    return False
