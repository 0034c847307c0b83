"""Resources of a workload: their permissions, names and prices follow from `owns`."""

from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_dynamodb, aws_ec2, aws_ses
from constructs import Construct

from infra import execution_policy
from infra.boundary import boundary, granted, not_granted
from infra.config import STAGES
from infra.cost.bill import bill
from infra.model import ConfigurationError, Owned, Service
from infra.owned import require_owned
from infra.permissions import Statement
from tests.reference.workload import WORKLOAD

TABLE = Owned(service=Service.DYNAMODB, actions=("dynamodb:Query",), indexes=True, writes=1, reads=2, stored_kb=0.1)
SENDER = Owned(service=Service.SES, name="mail.example.com", actions=("ses:SendEmail",), writes=0.1)
TABLE_ARN = "arn:PARTITION:dynamodb:REGION:ACCOUNT:table/notes-dev"
SENDER_ARN = "arn:PARTITION:ses:REGION:ACCOUNT:identity/mail.example.com"


def allows(statements: tuple[Statement, ...], action: str, resource: str) -> bool:
    return any(
        fnmatch(action, allowed) and fnmatch(resource, pattern)
        for statement in statements
        for allowed in statement.actions
        for pattern in statement.resources
    )


def test_the_policies_allow_what_an_entry_needs_and_no_more() -> None:
    execution, limits = (policy((TABLE, SENDER)) for policy in (execution_policy.statements, boundary))
    for action, arn in (("dynamodb:CreateTable", TABLE_ARN), ("ses:CreateEmailIdentity", SENDER_ARN)):
        assert allows(execution, action, arn)
        assert not allows(execution_policy.statements(()), action, arn)
        assert not allows(limits, action, arn)
    for action, arn in (("dynamodb:Query", TABLE_ARN), ("dynamodb:Query", f"{TABLE_ARN}/index/x")):
        assert allows(limits, action, arn)
        assert not allows(boundary((replace(TABLE, name="other"), SENDER)), action, arn)
    named = replace(TABLE, name="data", indexes=False)
    assert not allows(boundary((named,)), "dynamodb:Query", f"{TABLE_ARN}-data/index/x")
    assert allows(limits, "ses:SendEmail", SENDER_ARN)


def test_usage_has_a_price_and_a_type_without_one_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.cost.bill.WORKLOAD", replace(WORKLOAD, owns=(TABLE, SENDER)))
    table = {"Type": "AWS::DynamoDB::Table", "Properties": {"BillingMode": "PAY_PER_REQUEST"}}
    others = {"Sender": {"Type": "AWS::SES::EmailIdentity"}, "Stream": {"Type": "AWS::Kinesis::Stream"}}
    found = bill([{"Resources": {"Table": table, **others}}], 1_000_000)
    assert {line.label: round(line.dollars, 2) for line in found.lines} == {
        "table: writes": 0.62,
        "table: reads": 0.25,
        "table: storage": 0.30,
        "emails": 10.00,
        "not priced: AWS::Kinesis::Stream": 0,
    }


def own(kind: type[Construct], **properties: Any) -> None:
    """Add a resource to a stack of dev, as infra/resources.py does."""
    stack = cdk.Stack(cdk.App(), "Foundation")
    kind(stack, "Data", **properties)
    require_owned(stack, before=set(), owns=[TABLE], stage=STAGES["dev"])


def test_a_resource_that_could_not_be_deployed_is_named() -> None:
    key = [aws_dynamodb.CfnTable.KeySchemaProperty(attribute_name="id", key_type="HASH")]
    own(aws_dynamodb.CfnTable, key_schema=key, table_name="notes-dev")
    with pytest.raises(ConfigurationError, match=r"adds Foundation/Data, which needs the name notes-dev, or"):
        own(aws_dynamodb.CfnTable, key_schema=key)
    with pytest.raises(ConfigurationError, match=r"type AWS::SES::EmailIdentity: add it to owns in infra/workload\.py"):
        own(aws_ses.CfnEmailIdentity, email_identity="notes-dev")
    with pytest.raises(ConfigurationError, match="type AWS::EC2::EIP: only dynamodb, ses are allowed"):
        own(aws_ec2.CfnEIP)


def test_only_an_entry_that_needs_more_permissions_is_not_granted_yet() -> None:
    tags = granted([TABLE])
    assert not_granted([], tags) == not_granted([replace(TABLE, writes=9, actions=())], tags) == []
    for changed in (replace(TABLE, name="pages"), replace(TABLE, actions=(*TABLE.actions, "dynamodb:Scan"))):
        assert not_granted([changed], tags) == ["dynamodb"]
    assert not_granted([TABLE], granted([])) == ["dynamodb"]
    most = replace(TABLE, actions=tuple(f"dynamodb:Action{number}" for number in range(34)))
    assert max(map(len, granted([most]).values())) <= 256  # AWS: of a tag
