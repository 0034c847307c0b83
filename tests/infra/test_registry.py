import json

from tests.infra.synthesis import Resource, templates


def repository(name: str) -> Resource:
    found = templates("dev").registry.find_resources("AWS::ECR::Repository", {"Properties": {"RepositoryName": name}})
    (only,) = found.values()
    return only


def rules(name: str) -> list[Resource]:
    """Return the lifecycle rules by priority, without priorities."""
    policy = json.loads(repository(name)["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])
    return [rule["selection"] for rule in sorted(policy["rules"], key=lambda rule: rule["rulePriority"])]


def test_images_are_immutable_scanned_and_survive_the_stack_but_not_a_failed_first_creation() -> None:
    images = repository("comments")
    assert images["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    assert images["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert (images["DeletionPolicy"], images["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert "EmptyOnDelete" not in images["Properties"]


def test_thirty_releases_of_every_stage_are_kept_and_those_of_prod_take_precedence() -> None:
    """An image of prod must not count among the 30 of dev, where newer ones would expire it."""
    kept = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    old = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14}
    assert rules("comments") == [kept | {"tagPrefixList": ["prod-"]}, kept | {"tagPrefixList": ["dev-"]}, old]


def test_previews_have_a_repository_of_their_own_whose_images_expire() -> None:
    old = {"tagStatus": "any", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 30}
    assert rules("comments-previews") == [old]
    assert repository("comments-previews")["DeletionPolicy"] == "Delete"


def test_stages_of_one_account_have_the_same_registry() -> None:
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json()
