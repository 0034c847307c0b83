import json

import aws_cdk as cdk
from aws_cdk.assertions import Template

from infra.registry import RegistryStack
from tests.infra.synthesis import templates, the


def test_a_tag_means_one_image_for_ever() -> None:
    repository = the(templates("dev").registry, "AWS::ECR::Repository")
    assert repository["RepositoryName"] == "comments"
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_images_outlive_the_stack() -> None:
    (repository,) = templates("dev").registry.find_resources("AWS::ECR::Repository").values()
    assert repository["DeletionPolicy"] == "Retain"
    assert "EmptyOnDelete" not in repository["Properties"]


def test_thirty_releases_of_prod_and_of_dev_stay_to_roll_back_to() -> None:
    policy = the(templates("dev").registry, "AWS::ECR::Repository")["LifecyclePolicy"]["LifecyclePolicyText"]
    rules = [(rule["rulePriority"], rule["selection"]) for rule in json.loads(policy)["rules"]]
    proven = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    assert rules == [
        (1, {**proven, "tagPrefixList": ["prod-"]}),
        (2, {**proven, "tagPrefixList": ["dev-"]}),
        (3, {"tagStatus": "any", "countType": "sinceImagePushed", "countNumber": 14, "countUnit": "days"}),
    ]


def test_every_stage_has_the_same_registry() -> None:
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json()


def test_a_stage_in_another_account_may_pull_and_mark_but_not_push() -> None:
    stack = RegistryStack(cdk.App(), "Registry", used_by_accounts=["222222222222"])
    policy = the(Template.from_stack(stack), "AWS::ECR::Repository")["RepositoryPolicyText"]
    actions = {action for statement in policy["Statement"] for action in _list(statement["Action"])}
    assert {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"} <= actions
    assert not {"ecr:UploadLayerPart", "ecr:InitiateLayerUpload"} & actions
    assert all("222222222222" in str(statement["Principal"]) for statement in policy["Statement"])


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value
