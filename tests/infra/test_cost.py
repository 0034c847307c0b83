import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from infra.cost.__main__ import MONTHS, bills, stock_templates
from infra.cost.bill import HANDLERS, Bill, UnpricedError, bill
from infra.cost.prices import FREE
from infra.cost.traffic import Traffic
from infra.stages import STAGES, Architecture, Egress, Entrance, Stage, stage_named
from tests.infra.synthesis import EMAIL, GITHUB, templates_of

Templates = list[Mapping[str, Any]]
IDLE = Traffic(0)
BUSY = Traffic(10_000_000)


def of(stage: Stage) -> Templates:
    stacks = templates_of(stage)
    return [each.to_json() for each in (stacks.access, stacks.registry, stacks.data, stacks.service)]


def dollars(found: Bill, label: str) -> float:
    """Return the sum of the lines whose labels start so."""
    return sum(line.dollars for line in found.lines if line.label.startswith(label))


def labels(found: Bill) -> set[str]:
    return {line.label for line in found.lines}


@pytest.fixture(scope="module")
def stock() -> Templates:
    return stock_templates(STAGES["dev"])


def test_dev_costs_less_than_half_of_the_stock_pattern_at_any_traffic(stock: Templates) -> None:
    for dev, theirs in zip(bills(of(STAGES["dev"])), bills(stock), strict=True):
        assert dev.total <= 0.45 * theirs.total


def test_the_stock_pattern_is_billed_with_its_gateways_and_two_tasks(stock: Templates) -> None:
    found = bill(stock, IDLE)
    assert dollars(found, "NAT gateways") == pytest.approx(2 * 0.045 * 730)
    assert dollars(found, "tasks") == pytest.approx(2 * 730 * (0.25 * 0.04048 + 0.5 * 0.004445))
    assert "public addresses of tasks" not in labels(found)


@pytest.mark.parametrize(
    "stage",
    [
        *STAGES.values(),
        stage_named("pr-1"),
        replace(STAGES["prod"], entrance=Entrance.CLOUDFRONT),
        replace(STAGES["prod"], egress=Egress.ENDPOINTS, container_insights=True, alarm_email=EMAIL, github=GITHUB),
    ],
    ids=lambda stage: stage.name,
)
def test_every_resource_of_every_stage_has_a_price(stage: Stage) -> None:
    totals = [each.total for each in bills(of(stage))]
    assert totals[0] > 0
    assert totals == sorted(totals)


def test_a_resource_without_a_price_is_an_error() -> None:
    template = {"Resources": {"Cache": {"Type": "AWS::ElastiCache::CacheCluster", "Properties": {}}}}
    with pytest.raises(UnpricedError, match=r"AWS::ElastiCache::CacheCluster has no price: add it to infra/cost"):
        bill([template], IDLE)


def test_no_type_is_free_and_priced_at_once() -> None:
    assert not FREE.keys() & HANDLERS.keys()
    assert all(FREE.values())


@pytest.mark.parametrize(("egress", "more"), [(Egress.ENDPOINTS, 58.40), (Egress.NAT, 73.00)])
def test_each_egress_option_has_the_documented_price(egress: Egress, more: float) -> None:
    """Instead of the addresses of the tasks, $3.65 each."""
    prod = STAGES["prod"]
    before, after = bill(of(prod), IDLE), bill(of(replace(prod, egress=egress)), IDLE)
    assert dollars(before, "public addresses of tasks") == pytest.approx(3.65 * prod.min_tasks)
    assert after.total - before.total == pytest.approx(more - 3.65 * prod.min_tasks, abs=0.01)


def test_high_resolution_cpu_has_the_documented_price() -> None:
    prod = STAGES["prod"]
    before, after = bill(of(replace(prod, cpu_seconds=60)), IDLE), bill(of(replace(prod, cpu_seconds=20)), IDLE)
    assert after.total - before.total == pytest.approx(0.70)


def test_cloudfront_saves_the_addresses_of_the_load_balancer_and_a_rule() -> None:
    prod = STAGES["prod"]
    before, after = bill(of(prod), IDLE), bill(of(replace(prod, entrance=Entrance.CLOUDFRONT)), IDLE)
    assert before.total - after.total == pytest.approx(7.30 + 1.00)
    assert labels(before) - labels(after) == {"public addresses of the load balancer", "data to the internet"}


def test_cloudfront_has_the_documented_prices_beyond_its_free_tier() -> None:
    template = of(replace(STAGES["prod"], entrance=Entrance.CLOUDFRONT))
    assert dollars(bill(template, BUSY), "CloudFront: re") == 0
    found = bill(template, Traffic(1_000_000_000))
    assert dollars(found, "CloudFront: requests") == pytest.approx(990)
    assert dollars(found, "CloudFront: responses") == pytest.approx((3600 - 1000) * 0.085)
    assert dollars(found, "CloudFront: functions") == pytest.approx(99.80)


def test_endpoints_and_nat_cost_more_with_more_traffic() -> None:
    for egress, label in ((Egress.ENDPOINTS, "interface endpoints: data"), (Egress.NAT, "NAT gateways: data")):
        assert dollars(bill(of(replace(STAGES["dev"], egress=egress)), BUSY), label) > 0


def test_arm_and_spot_have_the_documented_discounts() -> None:
    four = replace(STAGES["dev"], min_tasks=4, max_tasks=4)
    plain = dollars(bill(of(four), IDLE), "tasks")
    arm = dollars(bill(of(replace(four, architecture=Architecture.ARM64)), IDLE), "tasks")
    spot = dollars(bill(of(replace(four, spot_share=100)), IDLE), "tasks")
    assert arm / plain == pytest.approx(0.8, abs=0.01)
    assert spot / plain == pytest.approx((1 + 3 * 0.3) / 4)


def test_one_task_can_serve_ten_million_requests_a_month() -> None:
    minutes = 30 * 24 * 60
    assert MONTHS[-1] / minutes < STAGES["dev"].requests_per_target


def test_the_command_prints_the_sums_and_where_prices_come_from() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "infra.cost", "dev"], capture_output=True, text=True, timeout=120, check=True
    )
    sums = [line for line in ran.stdout.splitlines() if line.startswith("sum")]
    assert len(sums) == 2
    assert "dev / stock" in ran.stdout
    assert "aws.amazon.com/fargate/pricing" in ran.stdout
    for egress in Egress:
        assert f"with egress {egress.value}" in ran.stdout
    assert "with entrance cloudfront" in ran.stdout


def test_an_unknown_stage_is_a_one_line_error() -> None:
    ran = subprocess.run([sys.executable, "-m", "infra.cost", "prd"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[-1].startswith("error: unknown stage 'prd'")
