"""Prints what a stage costs a month beside CDK's stock pattern: `python -m infra.cost STAGE`."""

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import aws_cdk as cdk

from infra.context import Context
from infra.cost.bill import Bill, bill
from infra.cost.prices import AS_OF, HOURS, REGION
from infra.cost.stock import TASKS, StockStack
from infra.cost.traffic import Traffic
from infra.errors import ConfigurationError
from infra.main import compose
from infra.options import Egress
from infra.stages import Stage, stage_named
from infra.target import Target

MONTHS = (0, 1_000_000, 10_000_000)
"""Requests a month."""
_ASSUMPTIONS = "infra/cost/traffic.py"
_NOTE = f"A month of {HOURS} hours in {REGION} at AWS's list prices as of {AS_OF}, no free tier, no discount."


def templates(stage: Stage) -> list[Mapping[str, Any]]:
    """Return the stage's templates, those of the account included."""
    app = cdk.App()
    compose(app, Context(stage=stage, github="example/comments"), Target(account=None, region=None))
    return _synthesized(app)


def stock_templates(stage: Stage) -> list[Mapping[str, Any]]:
    """Return the template of the stock pattern with tasks of the stage's size."""
    app = cdk.App()
    StockStack(app, "Stock", stage=stage)
    return _synthesized(app)


def _synthesized(app: cdk.App) -> list[Mapping[str, Any]]:
    return [stack.template for stack in app.synth().stacks]


def bills(of: Sequence[Mapping[str, Any]]) -> list[Bill]:
    """Return a bill for each of the months that are shown."""
    return [bill(of, Traffic(requests)) for requests in MONTHS]


def rows(columns: Sequence[Bill]) -> Iterator[str]:
    """Yield a line for each kind of thing that is billed, and the sum."""
    for lines in zip(*(column.lines for column in columns), strict=True):
        price = f"{lines[0].price.amount:.7g} per {lines[0].price.unit}"
        yield _row(lines[0].label, price, [line.dollars for line in lines])
    yield _row("sum", "", [column.total for column in columns])


def _row(label: str, price: str, dollars: Sequence[float]) -> str:
    return f"{label:<34}{price:<31}" + "".join(f"{each:>12.2f}" for each in dollars)


def report(stage: Stage) -> Iterator[str]:
    """Yield the report's lines."""
    mine, stock = bills(templates(stage)), bills(stock_templates(stage))
    months = "".join(f"{f'{requests // 1_000_000} million' if requests else 'none':>12}" for requests in MONTHS)
    head = f"{'dollars, by requests a month':<65}{months}"
    yield from (_NOTE, "", f"{stage.name}:", head, *rows(mine))
    yield from ("", f"CDK's stock pattern with {TASKS} tasks of the same size and the same table:", head, *rows(stock))
    ratios = [ours.total / theirs.total for ours, theirs in zip(mine, stock, strict=True)]
    yield from ("", _row(f"{stage.name} / stock", "", ratios), "")
    for egress in Egress:
        other = bills(templates(replace(stage, egress=egress)))
        yield _row(
            f"with egress {egress.value}", "this stage" * (egress is stage.egress), [each.total for each in other]
        )
    sources = sorted({line.price.source for column in (*mine, *stock) for line in column.lines})
    yield from ("", "Prices from " + ", ".join(sources) + ".", f"What a request is taken for: {_ASSUMPTIONS}.")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m infra.cost", description=__doc__)
    parser.add_argument("stage", help="dev, prod, playground or pr-N")
    name = parser.parse_args().stage
    os.environ.setdefault("CDK_VALIDATION", "false")  # prices need no validation, which is most of a synthesis
    try:
        print(*report(stage_named(name)), sep="\n")
    except ConfigurationError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
