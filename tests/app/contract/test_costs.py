"""The costs in docs/deployment.md."""

import re

import pytest

from infra.cost.bill import bills
from infra.workload import WORKLOAD
from tests.app.contract.synthesis import NOTIFYING, templates
from tests.app.support import ROOT


def test_the_documentation_has_these_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cost.bill.WORKLOAD", WORKLOAD)  # tests of the platform have another workload
    monkeypatch.setattr("infra.cost.bill._TRAFFIC", WORKLOAD.traffic)
    stages = templates("dev"), templates("webhook", NOTIFYING), templates("prod"), templates("cloudfront", NOTIFYING)
    priced = [[each.to_json() for each in stage.all] for stage in stages]
    text = (ROOT / "docs/deployment.md").read_text()
    documented = re.findall(r"^\| [^|]+\| (\d+) \| (\d+) \| (\d+) \|$", text, re.MULTILINE)
    assert documented == [tuple(str(round(column.total)) for column in bills(each)) for each in priced]
