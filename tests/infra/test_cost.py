import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from infra.cost.__main__ import main
from infra.cost.bill import Bill, bill, bills, ceilings
from infra.model import Egress, Entrance, Stage
from tests.infra.synthesis import CHECKED, CLOUDFRONT, NAT, synthesize

IDLE, BUSY = 0, 10_000_000
DEV, PROD = CHECKED["dev"], CHECKED["prod"]


def of(stage: Stage) -> list[Mapping[str, Any]]:
    return [each.to_json() for each in synthesize(stage).all]


def dollars(found: Bill, label: str) -> float:
    """Return the sum of the lines whose labels start so."""
    return sum(line.dollars for line in found.lines if line.label.startswith(label))


@pytest.mark.parametrize("name", CHECKED)
def test_every_resource_of_every_stage_has_a_price(name: str) -> None:
    columns = bills(of(CHECKED[name]))
    totals = [each.total for each in columns]
    assert 0 < totals[0] < totals[1] < totals[2]
    assert not [line.label for line in columns[0].lines if "not priced" in line.label]


@pytest.mark.parametrize(
    ("fields", "more", "data"),
    [
        ({"egress": Egress.ENDPOINTS}, 58.40 - 2 * 3.65, "interface endpoints: data"),
        ({"egress": Egress.NAT}, 73.00 - 2 * 3.65, "NAT gateways: data"),
        ({"cpu_seconds": 60}, -0.70, "data to the internet"),
        ({"entrance": Entrance.CLOUDFRONT}, -2 * 3.65 - 1.00, "CloudFront: functions"),  # a rule less
    ],
)
def test_an_option_has_the_documented_price(fields: dict[str, Any], more: float, data: str) -> None:
    """Tasks behind endpoints or NAT, and a load balancer behind CloudFront, have no addresses, $3.65 each."""
    other = of(replace(PROD, **fields))
    assert bill(other, IDLE).total - bill(of(PROD), IDLE).total == pytest.approx(more, abs=0.01)
    assert dollars(bill(other, BUSY), data) > 0


def test_cloudfront_is_billed_beyond_its_free_tier() -> None:
    assert dollars(bill(of(CHECKED[CLOUDFRONT]), BUSY), "CloudFront: re") == 0
    found = bill(of(CHECKED[CLOUDFRONT]), 1_000_000_000)
    assert dollars(found, "CloudFront: requests") == pytest.approx(990)
    assert dollars(found, "CloudFront: responses") == pytest.approx((10_000 - 1000) * 0.085)
    assert dollars(found, "CloudFront: functions") == pytest.approx(99.80)


def test_arm_has_the_documented_discount() -> None:
    plain, arm = (dollars(bill(of(CHECKED[name]), IDLE), "tasks") for name in ("dev", NAT))
    assert arm / plain == pytest.approx(0.8, abs=0.01)


def test_a_month_at_every_ceiling_has_the_documented_price_and_names_what_has_none() -> None:
    found = ceilings(of(PROD))
    most = {line.label: line.dollars for line in found.capped}
    assert most["table: reads"] == pytest.approx(329, abs=1)
    assert most["table: writes"] == pytest.approx(164, abs=1)
    assert most["tasks: CPU"] == pytest.approx(10 * dollars(bill(of(PROD), IDLE), "tasks: CPU"))
    rest = [line.dollars for line in bill(of(PROD), 1).lines if line.label not in most]
    assert found.total == pytest.approx(sum(rest) + sum(most.values()))
    assert {"data to the internet", "web ACL: requests", "logs: written", "table: storage"} <= set(found.uncapped)
    assert not most.keys() & set(found.uncapped)


def test_the_command_prints_the_totals_and_where_prices_come_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cost", "dev"])
    main()
    printed = capsys.readouterr().out
    assert len([line for line in printed.splitlines() if line.startswith("total")]) == 1
    rows = "at every ceiling", "with egress nat", "with entrance cloudfront"
    for shown in (*rows, "aws.amazon.com/fargate/pricing", "No ceiling: "):
        assert shown in printed
