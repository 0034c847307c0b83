from typing import Any

import pytest
from aws_cdk.assertions import Template
from botocore.model import OperationModel

from comments.comment import NewComment
from comments.stores.dynamodb import DynamoDBStore
from comments.stores.dynamodb_items import INDEX_SCHEMA, KEY_SCHEMA, RECENT, TTL_ATTRIBUTE
from infra.config import STAGES
from tests.app.contract.synthesis import templates
from tests.app.support import create_table
from tests.infra.synthesis import every, statements_of, the
from tests.release.permission_table import rows


def test_the_table_has_the_keys_and_the_expiry_that_the_store_uses() -> None:
    """The keys can never be changed: a mistake here would require a migration."""
    table = the(templates("dev").data, "AWS::DynamoDB::GlobalTable")
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == list(KEY_SCHEMA)
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    assert types == {name: "S" for name, _ in (*KEY_SCHEMA, *INDEX_SCHEMA)}
    (index,) = table["GlobalSecondaryIndexes"]
    assert index["IndexName"] == RECENT
    assert [(key["AttributeName"], key["KeyType"]) for key in index["KeySchema"]] == list(INDEX_SCHEMA)
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


def test_the_table_has_the_ceilings_of_the_stage() -> None:
    table = the(templates("dev").data, "AWS::DynamoDB::GlobalTable")
    (replica,) = table["Replicas"]
    assert replica["ReadOnDemandThroughputSettings"] == {"MaxReadRequestUnits": STAGES["dev"].max_reads}
    assert table["WriteOnDemandThroughputSettings"] == {"MaxWriteRequestUnits": STAGES["dev"].max_writes}


@pytest.mark.usefixtures("dynamodb")
def test_the_task_role_allows_exactly_the_calls_of_the_store(service: Template) -> None:
    actions: set[str] = set()

    def record(params: dict[str, Any], model: OperationModel, **_: object) -> None:
        """Record the permissions of a call; a transaction needs those of its operations."""
        changes = params.get("TransactItems", [])
        actions.update({f"dynamodb:{kind}Item" for change in changes for kind in change} or [f"dynamodb:{model.name}"])
        if model.name in {"GetItem", "Query"} and "IndexName" not in params:
            assert params["ConsistentRead"], "without it, a confirmed comment may be missing"

    store = DynamoDBStore(create_table())
    store._table.client.meta.events.register("before-parameter-build.dynamodb", record)
    new = NewComment(content_id=1, email="alice@example.com", comment="first")
    first = store.add(new)
    store.add(new, key="key")
    store.targets = ("webhook",)
    store.replace_lease("", "me")
    assert store.replace_lease("", "you") == "me"
    held = store.add(new, held=True)
    store.list_held(limit=10)
    store.list_recent(limit=10)
    store.count([1])
    assert not store.is_trusted("a" * 64)
    assert store.edit(1, held["id"], "edited", "2026-12-01T00:00:00.000Z")
    assert store.approve(1, held["id"]) in store.list_comments(1, limit=10).comments
    assert store.delete(1, first["id"])
    for each in store.list_outbox("webhook", limit=10):
        store.remove_from_outbox("webhook", each.id)
    store.ping()

    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (statement,) = statements_of(service, task)
    assert set(statement["Action"]) == actions
    assert {action for role, action, _ in rows() if role == "task"} == actions, "docs/permissions.md lists them"


def test_throttling_of_the_table_fires_an_alarm() -> None:
    alarms = every(templates("prod").service, "AWS::CloudWatch::Alarm")
    assert {"ReadThrottleEvents", "WriteThrottleEvents"} <= {alarm.get("MetricName") for alarm in alarms}
