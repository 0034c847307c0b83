"""Quotas of the account, which a stubbed AWS returns."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace

import pytest
from botocore.stub import Stubber

from infra.model import Egress
from release.aws import Aws
from release.command import NotReadyError
from release.quotas import require_quotas

VPCS, ADDRESSES = ("vpc", "L-F678F1CE"), ("ec2", "L-0263D0A3")
VCPUS = ("fargate", "L-3032A538")
Answer = Callable[[Mapping[tuple[str, str], float | None]], None]


@pytest.fixture
def quotas(dev: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Answer]:
    """Return a function that sets the quotas, in the order of their requests; None refuses to show one."""
    reader, ec2 = dev.untyped("service-quotas"), dev.untyped("ec2")
    monkeypatch.setattr(Aws, "untyped", lambda _, service: {"service-quotas": reader, "ec2": ec2}[service])

    def answer(values: Mapping[tuple[str, str], float | None]) -> None:
        for (service, code), value in values.items():
            if value is None:
                stubbed.add_client_error("get_service_quota", "AccessDeniedException", "not authorized")
                continue
            asked = {"ServiceCode": service, "QuotaCode": code}
            stubbed.add_response("get_service_quota", {"Quota": {"Value": value}}, asked)
            if service == "vpc":
                used.add_response("describe_vpcs", {"Vpcs": [{"VpcId": f"vpc-{number}"} for number in range(5)]})
            elif service == "ec2":
                used.add_response("describe_addresses", {"Addresses": [{}, {}, {}, {}]})

    with ExitStack() as stubs:
        stubbed, used = (stubs.enter_context(Stubber(client)) for client in (reader, ec2))
        yield answer
        stubbed.assert_no_pending_responses()


def test_a_quota_that_the_stage_may_exceed_is_named_with_the_command_to_raise_it(
    dev: Aws, quotas: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = replace(dev.stage, egress=Egress.NAT, min_tasks=2, max_tasks=20, cpu=1024)
    quotas({VPCS: 5, ADDRESSES: 5, VCPUS: 6})
    require_quotas(replace(dev, stage=stage))
    vpcs, addresses, vcpus = [line for line in capsys.readouterr().out.splitlines() if "warning" in line]
    assert "VPCs per Region is 5, and 5 are in use, but the stage may need 1" in vpcs
    assert "--service-code vpc --quota-code L-F678F1CE --desired-value 6`" in vpcs
    assert "EC2-VPC Elastic IPs is 5, and 4 are in use, but the stage may need 2" in addresses
    assert "vCPU resource count is 6, but the stage may need 40" in vcpus


def test_only_twice_the_smallest_number_of_tasks_is_required(
    dev: Aws, quotas: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    stage = replace(dev.stage, min_tasks=4, max_tasks=4, cpu=1024)
    quotas({VPCS: 6, VCPUS: 8})
    require_quotas(replace(dev, stage=stage))
    assert "warning" not in capsys.readouterr().out
    quotas({VPCS: 6, VCPUS: 7})
    with pytest.raises(NotReadyError, match=r"is 7, but the stage may need 8: run `aws service-quotas request"):
        require_quotas(replace(dev, stage=stage))


def test_a_quota_that_cannot_be_read_blocks_nothing(
    dev: Aws, quotas: Answer, capsys: pytest.CaptureFixture[str]
) -> None:
    quotas({VPCS: None, VCPUS: None})
    require_quotas(dev)
    assert capsys.readouterr().out.count("was not checked: ") == 2
