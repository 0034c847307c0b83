import json

from tests.infra.synthesis import templates

IMAGES = {"Properties": {"RepositoryName": "comments"}}


def test_images_are_immutable_scanned_and_survive_the_stack_but_not_a_failed_first_creation() -> None:
    (repository,) = templates("dev").registry.find_resources("AWS::ECR::Repository", IMAGES).values()
    assert repository["Properties"]["ImageTagMutability"] == "IMMUTABLE"
    assert repository["Properties"]["ImageScanningConfiguration"] == {"ScanOnPush": True}
    assert (repository["DeletionPolicy"], repository["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert "EmptyOnDelete" not in repository["Properties"]


def test_thirty_releases_of_every_stage_are_kept_and_those_of_prod_take_precedence() -> None:
    """An image of prod must not count among the 30 of dev, where newer ones would expire it."""
    (repository,) = templates("dev").registry.find_resources("AWS::ECR::Repository", IMAGES).values()
    policy = json.loads(repository["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])
    *stages, rest = sorted(policy["rules"], key=lambda rule: rule["rulePriority"])
    kept = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    assert [rule["selection"] for rule in stages] == [kept | {"tagPrefixList": [each]} for each in ("prod-", "dev-")]
    assert (rest["selection"]["tagStatus"], rest["selection"]["countNumber"]) == ("any", 14)


def test_previews_have_a_repository_of_their_own_whose_images_expire() -> None:
    previews = {"Properties": {"RepositoryName": "comments-previews"}}
    (repository,) = templates("dev").registry.find_resources("AWS::ECR::Repository", previews).values()
    (rule,) = json.loads(repository["Properties"]["LifecyclePolicy"]["LifecyclePolicyText"])["rules"]
    assert (rule["selection"]["tagStatus"], rule["selection"]["countNumber"]) == ("any", 30)
    assert repository["DeletionPolicy"] == "Delete"


def test_stages_of_one_account_have_the_same_registry() -> None:
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json()
