import json
from typing import Any

from aws_cdk.assertions import Match

from tests.infra.synthesis import templates, the

REPOSITORY = "AWS::ECR::Repository"


def kept(stage: str) -> list[dict[str, Any]]:
    """Return the images that each lifecycle rule of a stage's repository selects, by priority."""
    found = the(templates(stage).registry, REPOSITORY)
    policy = json.loads(found["LifecyclePolicy"]["LifecyclePolicyText"])
    return [rule["selection"] for rule in sorted(policy["rules"], key=lambda rule: rule["rulePriority"])]


def test_images_are_immutable_scanned_and_survive_the_stack_but_not_a_failed_first_creation() -> None:
    scanned = {"ImageTagMutability": "IMMUTABLE", "ImageScanningConfiguration": {"ScanOnPush": True}}
    releases = scanned | {"RepositoryName": "notes", "EmptyOnDelete": Match.absent()}
    retained = {"DeletionPolicy": "RetainExceptOnCreate", "UpdateReplacePolicy": "Retain"}
    templates().registry.has_resource(REPOSITORY, {"Properties": releases, **retained})


def test_thirty_releases_of_every_stage_are_kept_and_those_of_prod_take_precedence() -> None:
    """An image of prod must not count among the 30 of dev, where newer ones would expire it, even if it failed."""
    thirty = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    old = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days"}
    stages = [thirty | {"tagPrefixList": [prefix]} for prefix in ("prod-", "try.prod-", "dev-", "try.dev-")]
    assert kept("dev") == [*stages, old | {"countNumber": 14}]
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json(), "one account has one registry"
