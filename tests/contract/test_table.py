import json
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


def test_the_task_role_allows_exactly_the_calls_of_the_store(
    service: Template, monkeypatch: pytest.MonkeyPatch
) -> None:
    actions: set[str] = set()
    texts = {"pk": "held#2", "sk": HELD, "email": "a@example.com", "comment": "first", "created_at": "2026"}
    item = {name: {"S": text} for name, text in texts.items()} | {"content_id": {"N": "1"}}

    def respond(model: Any, params: dict[str, Any], **_: object) -> Any:
        """Respond with a held comment, and with nothing to a request for a key; record the permissions of the call."""
        body = json.loads(params["body"])
        changes = body.get("TransactItems", [])
        actions.update({f"dynamodb:{kind}Item" for change in changes for kind in change} or [f"dynamodb:{model.name}"])
        if model.name in {"GetItem", "Query"}:
            assert body["ConsistentRead"], "without it, a confirmed comment may be missing"
        is_key = "key#" in str(body.get("Key"))
        return SimpleNamespace(status_code=200), {"Items": [item]} | ({} if is_key else {"Item": item})

    client = boto3.client("dynamodb", region_name="us-east-1")
    client.meta.events.register("before-call.dynamodb", respond)
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
    assert set(statement["Action"]) == actions
