from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from aws_cdk.assertions import Template

from comments.schemas import NewComment
from comments.stores.dynamodb import KEY_SCHEMA, TTL_ATTRIBUTE, DynamoDBStore
from tests.infra.synthesis import statements_of, the

HELD = "01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52"


def test_the_table_has_the_keys_and_the_expiry_that_the_store_uses(data: Template) -> None:
    """The keys can never be changed: a mistake here would require a migration."""
    table = the(data, "AWS::DynamoDB::GlobalTable")
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == list(KEY_SCHEMA)
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    assert types == {name: "S" for name, _ in KEY_SCHEMA}
    assert table["TimeToLiveSpecification"] == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


class Recorder:
    """Stubs a client's calls with a held comment, and records the permissions that they need."""

    def __init__(self, client: Any) -> None:
        self.actions: set[str] = set()
        client.meta.events.register("provide-client-params.dynamodb", self._record)
        client.meta.events.register("before-call.dynamodb", self._respond)

    def _record(self, params: dict[str, Any], model: Any, **_: object) -> None:
        changes = params.get("TransactItems", [])
        self.actions |= {f"dynamodb:{kind}Item" for change in changes for kind in change} or {f"dynamodb:{model.name}"}
        self._key_is_new = "key#" in str(params.get("Key"))

    def _respond(self, **_: object) -> tuple[Any, dict[str, Any]]:
        texts = {"pk": "held#2", "sk": HELD, "email": "a@example.com", "comment": "first", "created_at": "2026"}
        item = {name: {"S": text} for name, text in texts.items()} | {"content_id": {"N": "1"}}
        return SimpleNamespace(status_code=200), {"Items": [item]} | ({} if self._key_is_new else {"Item": item})


def test_the_task_role_allows_exactly_the_calls_of_the_store(
    service: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("dynamodb", region_name="us-east-1")
    recorder = Recorder(client)
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    store = DynamoDBStore("comments-dev")
    new = NewComment(content_id=1, email="alice@example.com", comment="first")
    store.add(new)
    store.add(new, held=True)
    store.add(new, key="key")
    store.get(1, HELD)
    store.list_comments(1, limit=10)
    store.list_held(limit=10)
    assert store.approve(1, HELD)
    assert store.delete(1, HELD)
    store.ping()

    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (statement,) = statements_of(service, task)
    assert set(statement["Action"]) == recorder.actions
