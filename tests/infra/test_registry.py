import json
from collections.abc import Mapping
from typing import Any

from tests.infra.synthesis import templates


def repository(name: str) -> Mapping[str, Any]:
    found = templates("dev").registry.find_resources("AWS::ECR::Repository", {"Properties": {"RepositoryName": name}})
    (only,) = found.values()
    return only


def kept(name: str) -> list[dict[str, Any]]:
    """Return the images that each lifecycle rule selects, by priority."""
    policy = json.loads(repository(name)["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])
    return [rule["selection"] for rule in sorted(policy["rules"], key=lambda rule: rule["rulePriority"])]


def test_images_are_immutable_scanned_and_survive_the_stack_but_not_a_failed_first_creation() -> None:
    images = repository("comments")
    assert images["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    assert images["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert (images["DeletionPolicy"], images["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert "EmptyOnDelete" not in images["Properties"]


def test_thirty_releases_of_every_stage_are_kept_and_those_of_prod_take_precedence_but_previews_expire() -> None:
    """An image of prod must not count among the 30 of dev, where newer ones would expire it."""
    thirty = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    old = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days"}
    stages = [thirty | {"tagPrefixList": [f"{stage}-"]} for stage in ("prod", "dev")]
    assert kept("comments") == [*stages, old | {"countNumber": 14}]
    assert kept("comments-previews") == [old | {"countNumber": 30}]
    assert repository("comments-previews")["DeletionPolicy"] == "Delete"
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json(), "one account has one registry"
