import json
from dataclasses import replace

import pytest

from infra.stages import STAGES
from tests.infra.synthesis import list_of, synthesize, templates, the

IMAGES = {"RepositoryName": "comments"}


def test_tags_are_immutable() -> None:
    repository = the(templates("dev").registry, "AWS::ECR::Repository", IMAGES)
    assert repository["ImageTagMutability"] == "IMMUTABLE"
    assert repository["ImageScanningConfiguration"] == {"ScanOnPush": True}


def test_images_survive_the_stack_but_not_a_failed_first_creation() -> None:
    (repository,) = templates("dev").registry.find_resources("AWS::ECR::Repository", {"Properties": IMAGES}).values()
    assert (repository["DeletionPolicy"], repository["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert "EmptyOnDelete" not in repository["Properties"]


def test_thirty_releases_of_every_stage_are_kept_and_those_of_prod_take_precedence() -> None:
    """An image of prod must not count among the 30 of dev, where newer ones would expire it."""
    policy = the(templates("dev").registry, "AWS::ECR::Repository", IMAGES)["LifecyclePolicy"]["LifecyclePolicyText"]
    *stages, rest = sorted(json.loads(policy)["rules"], key=lambda rule: rule["rulePriority"])
    kept = {"tagStatus": "tagged", "countType": "imageCountMoreThan", "countNumber": 30}
    assert [rule["selection"] for rule in stages] == [
        kept | {"tagPrefixList": [f"{name}-"]} for name in ("prod", "dev")
    ]
    assert rest["selection"] == {
        "tagStatus": "any", "countType": "sinceImagePushed", "countNumber": 14, "countUnit": "days"
    }  # fmt: skip


def test_stages_of_one_account_have_the_same_registry() -> None:
    assert templates("dev").registry.to_json() == templates("prod").registry.to_json()


def test_a_stage_in_another_account_may_pull_and_tag_but_not_push(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "dev", replace(STAGES["dev"], account="111111111111"))
    prod = replace(STAGES["prod"], account="222222222222", registry_account="111111111111")
    monkeypatch.setitem(STAGES, "prod", prod)
    registry = synthesize(STAGES["dev"]).registry
    policy = the(registry, "AWS::ECR::Repository")["RepositoryPolicyText"]
    actions = {action for statement in policy["Statement"] for action in list_of(statement["Action"])}
    assert {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:PutImage"} <= actions
    assert not {"ecr:UploadLayerPart", "ecr:InitiateLayerUpload"} & actions
    assert all("222222222222" in str(statement["Principal"]) for statement in policy["Statement"])
    assert registry.to_json()["Resources"] == synthesize(prod).registry.to_json()["Resources"]


def test_deleting_one_stage_leaves_the_stacks_that_all_stages_share() -> None:
    protected = {stack.stack_name: stack.termination_protection for stack in templates("dev").assembly.stacks}
    assert protected["CommentsRegistry"]
    assert protected["CommentsAccess"]
    assert not protected["CommentsFoundation-dev"]
