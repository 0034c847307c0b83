"""Room for one more network, with VPCs in an engine on this machine and quotas as only AWS tells them."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from release.aws import Aws
from release.errors import NotReadyError
from release.quota import require_room


@pytest.fixture
def vpcs(aws: Aws) -> Iterator[int]:
    """Return how many VPCs there are, two of them of this test."""
    ec2 = aws.untyped("ec2")
    made = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(2)]
    yield len(ec2.describe_vpcs()["Vpcs"])
    for vpc in made:
        ec2.delete_vpc(VpcId=vpc)


def a_preview(aws: Aws, monkeypatch: pytest.MonkeyPatch, *, quota: int) -> Aws:
    """Return a stage that is not deployed, in an account with that quota."""
    preview = replace(aws, stage=replace(aws.stage, name=f"pr-{uuid.uuid4().int % 10**5}"))
    quotas = SimpleNamespace(get_service_quota=lambda **_: {"Quota": {"Value": float(quota)}})
    untyped = Aws.untyped

    def client(self: Aws, service: str) -> Any:
        return quotas if service == "service-quotas" else untyped(self, service)

    monkeypatch.setattr(Aws, "untyped", client)
    return preview


def test_a_stage_that_has_room_is_let_through(aws: Aws, monkeypatch: pytest.MonkeyPatch, vpcs: int) -> None:
    require_room(a_preview(aws, monkeypatch, quota=vpcs + 1))


def test_one_stage_too_many_is_refused_before_anything_is_made(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, vpcs: int
) -> None:
    with pytest.raises(NotReadyError, match=f"holds {vpcs} VPCs of at most {vpcs}, and pr-.* destroy a preview"):
        require_room(a_preview(aws, monkeypatch, quota=vpcs))


def test_a_stage_that_is_there_needs_no_other_network(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    there = a_preview(aws, monkeypatch, quota=0)
    aws.cloudformation.create_stack(
        StackName=there.stage.service_stack, TemplateBody='{"Resources": {"T": {"Type": "AWS::SNS::Topic"}}}'
    )
    require_room(there)
    aws.cloudformation.delete_stack(StackName=there.stage.service_stack)


def test_a_quota_that_cannot_be_read_is_the_one_that_aws_gives_at_first(aws: Aws) -> None:
    """MiniStack knows no quotas, as a role without the permission to read them."""
    ec2 = aws.untyped("ec2")
    made = [ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"] for _ in range(5)]
    try:
        with pytest.raises(NotReadyError, match="of at most 5"):
            require_room(replace(aws, stage=replace(aws.stage, name="pr-1")))
    finally:
        for vpc in made:
            ec2.delete_vpc(VpcId=vpc)
