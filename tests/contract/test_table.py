from typing import Any

import boto3
from aws_cdk.assertions import Template

from comments.models import NewComment
from comments.store.dynamodb import KEY_SCHEMA, TTL_ATTRIBUTE, DynamoDBStore
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


class Calls:
    """A DynamoDB client that remembers what it was asked for."""

    def __init__(self) -> None:
        self.made: set[str] = set()

    def __getattr__(self, method: str) -> Any:
        def call(**_: Any) -> dict[str, Any]:
            self.made.add(method)
            return {"Items": [], "Item": {}}

        return call


def test_the_task_may_do_what_the_store_does_and_no_more(service: Template) -> None:
    calls = Calls()
    store = DynamoDBStore(table="comments-dev", client=calls)  # type: ignore[arg-type]  # it answers as a client would
    store.add(NewComment(content_id=1, email="alice@example.com", comment="first"))
    store.list_page(1, after=None, limit=10)
    operations = boto3.client(
        "dynamodb", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    ).meta.method_to_api_mapping
    needed = {f"dynamodb:{operations[method]}" for method in calls.made}

    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (policy,) = (each for each in every(service, "AWS::IAM::Policy") if {"Ref": task} in each["Roles"])
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert set(statement["Action"]) == needed
