from collections.abc import Mapping
from typing import Any

from aws_cdk.assertions import Template

from comments.models import Comment, NewComment
from comments.store.dynamodb import DynamoDBStore
from comments.store.dynamodb_client import TableClient
from comments.store.dynamodb_items import KEY_SCHEMA, TTL_ATTRIBUTE, comment_item
from tests.infra.synthesis import every, the


def test_the_table_has_the_keys_that_the_store_uses(foundation: Template) -> None:
    """They can never be changed: a mistake here costs a migration."""
    table = the(foundation, "AWS::DynamoDB::Table")
    assert [(key["AttributeName"], key["KeyType"]) for key in table["KeySchema"]] == list(KEY_SCHEMA)
    types = {attribute["AttributeName"]: attribute["AttributeType"] for attribute in table["AttributeDefinitions"]}
    assert types == {name: "S" for name, _ in KEY_SCHEMA}


def test_what_the_store_lets_expire_is_deleted(foundation: Template) -> None:
    expiry = the(foundation, "AWS::DynamoDB::Table")["TimeToLiveSpecification"]
    assert expiry == {"AttributeName": TTL_ATTRIBUTE, "Enabled": True}


class Calls(TableClient):
    """A client that remembers what it was asked for, in transactions too, and finds whatever it looks up."""

    def __init__(self, stored: Comment) -> None:
        super().__init__("comments-dev")
        self.made: set[str] = set()
        self._item = comment_item(stored)

    def call(self, operation: str, request: Mapping[str, Any]) -> Any:
        changes = request.get("TransactItems", [])
        self.made |= {f"{kind}Item" for change in changes for kind in change} or {operation}
        return {"Items": [self._item], "Item": self._item}


def test_the_task_may_do_what_the_store_does_and_no_more(service: Template) -> None:
    new = NewComment(content_id=1, email="alice@example.com", comment="first")
    held = new.stored("01a20cac-8b1e-7c9d-9d3f-5b0c3b6f1a52", "2026-11-24T08:29:23.614Z", held=True)
    calls = Calls(held)
    store = DynamoDBStore(calls)
    store.add(new)
    store.add(new, held=True)
    store.add(new, idempotency_key="key")
    store.list_page(1, after=None, limit=10)
    store.held_page(after=None, limit=10)
    assert store.approve(1, held["id"])
    assert store.delete(1, held["id"])
    store.ping()
    needed = {f"dynamodb:{operation}" for operation in calls.made}

    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (policy,) = (each for each in every(service, "AWS::IAM::Policy") if {"Ref": task} in each["Roles"])
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == needed
