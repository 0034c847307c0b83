"""The costs in docs/deployment.md."""

import re

from tests.app.contract.synthesis import run_module
from tests.app.support import ROOT


def totals(printed: str, label: str) -> list[list[int]]:
    """Return the columns of each line that begins with the label."""
    lines = [line for line in printed.splitlines() if line.startswith(label)]
    return [[round(float(column)) for column in re.findall(r"\d+\.\d\d", line)] for line in lines]


def test_the_documentation_has_these_costs() -> None:
    text = (ROOT / "docs/deployment.md").read_text()
    documented = re.findall(r"^\| [^|]+\| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    dev, prod = (run_module("infra.cost", stage) for stage in ("dev", "prod"))
    (mine, stock), (production, _) = totals(dev, "total"), totals(prod, "total")
    notifying, _ = totals(run_module("infra.cost", "webhook", CONFIG_PACKAGE="tests.app.notifying"), "total")
    (behind_cloudfront,) = totals(prod, "with entrance cloudfront")
    assert [list(map(int, row)) for row in documented] == [mine, notifying, production, behind_cloudfront, stock]
