"""Print the monthly cost of a stage and of its ceilings: `python -m infra.cost STAGE`."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import aws_cdk as cdk

from infra.app import app_of
from infra.config import DEFAULT_STAGE, STAGE_NAMES, stage_named
from infra.cost.bill import MONTHS, bills, ceilings, line_row, row, rows
from infra.cost.prices import AS_OF, HOURS, REGION
from infra.model import ConfigurationError, Egress, Entrance, Stage

_NOTE = (
    f"A month of {HOURS} hours in {REGION} at AWS's list prices as of {AS_OF}, without discounts.\n"
    "CloudFront's free tier is included, because it doesn't expire; others aren't."
)


def templates(app: cdk.App) -> list[Mapping[str, Any]]:
    return [stack.template for stack in app.synth().stacks]


def report(stage: Stage) -> Iterator[str]:
    """Yield the lines of the report."""
    synthesized = templates(app_of(stage))
    mine, most = bills(synthesized), ceilings(synthesized)
    months = "".join(f"{f'{requests // 1_000_000} million' if requests else 'none':>12}" for requests in MONTHS)
    head = f"{'dollars, by requests a month':<70}{months}"
    yield from (_NOTE, "", f"{stage.name}:", head, *rows(mine))
    yield from ("", f"{stage.name} at every ceiling (max_tasks, max_reads, max_writes), used all month:")
    yield from map(line_row, most.capped)
    yield row("everything else, with a single request", "", [most.total - sum(line.dollars for line in most.capped)])
    yield row("at every ceiling", "", [most.total])
    yield f"No ceiling: {', '.join(most.uncapped)}."
    yield ""
    variants = {f"with egress {egress.value}": replace(stage, egress=egress) for egress in Egress}
    variants |= {
        f"with entrance {entrance.value}": replace(stage, entrance=entrance, domain=None) for entrance in Entrance
    }
    for label, other in variants.items():
        same = (other.egress, other.entrance) == (stage.egress, stage.entrance)
        totals = [each.total for each in bills(templates(app_of(other)))]
        yield row(label, "this stage" if same else "", totals)
    sources = sorted({f"aws.amazon.com/{line.price.page}" for column in mine for line in column.lines})
    yield from (
        "",
        f"Prices from {', '.join(sources)}.",
        "Per-request assumptions are in infra/workload.py and infra/cost/bill.py.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.cost", description=__doc__)
    parser.add_argument("stage", nargs="?", default=DEFAULT_STAGE, help=STAGE_NAMES)
    name = parser.parse_args().stage
    os.environ.setdefault("CDK_VALIDATION", "false")  # validation takes most of a synthesis, and prices don't need it
    try:
        print(*report(stage_named(name)), sep="\n", flush=True)
    except ConfigurationError as error:
        sys.exit(f"error: {error}")
    except BrokenPipeError:  # the reader has closed the pipe, as `… | head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
