"""Which image a stage gets, from a registry that has several."""

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from infra.stages import REGISTRY_STACK, STAGES
from release.aws import Aws
from release.errors import NotReleasableError
from release.images import Images, require_releasable
from release.preflight import Plan
from tests.release.conftest import ACCOUNT
from tests.release.test_images import store
from tests.release.test_scan import GATE

COMMIT = "0123456789ab"


@pytest.fixture
def images(aws: Aws) -> Iterator[Images]:
    repository = f"promoted-{uuid.uuid4().hex[:8]}"
    aws.ecr.create_repository(repositoryName=repository)
    yield Images(aws.ecr, account=ACCOUNT, repository=repository)
    aws.ecr.delete_repository(repositoryName=repository, force=True)


def test_prod_takes_what_dev_has_run(aws: Aws, images: Images) -> None:
    images.add_tag(store(aws, COMMIT, images.repository), f"dev-{COMMIT}")
    require_releasable("prod", COMMIT, images)


def test_prod_refuses_what_dev_has_not_run(aws: Aws, images: Images) -> None:
    images.add_tag(store(aws, COMMIT, images.repository), f"pr-7-{COMMIT}")
    with pytest.raises(NotReleasableError, match="prod takes only what dev has run: release this commit to dev first"):
        require_releasable("prod", COMMIT, images)


def test_prod_builds_nothing(images: Images) -> None:
    with pytest.raises(NotReleasableError, match=f"holds no image {COMMIT}: release it to dev first"):
        require_releasable("prod", COMMIT, images)


def test_an_image_that_has_expired_is_answered_with_those_to_go_back_to(aws: Aws, images: Images) -> None:
    images.add_tag(store(aws, "aaaaaaaaaaaa", images.repository), "dev-aaaaaaaaaaaa")
    with pytest.raises(NotReleasableError, match=f"holds no image dev-{COMMIT}") as refused:
        require_releasable("dev", f"dev-{COMMIT}", images)
    assert refused.value.details == ("the last that dev has run: dev-aaaaaaaaaaaa",)


def test_an_account_without_a_registry_has_no_image(aws: Aws) -> None:
    nowhere = Images(aws.ecr, account=ACCOUNT, repository="no-such-repository")
    with pytest.raises(NotReleasableError, match="the registry holds no image"):
        require_releasable("dev", COMMIT, nowhere)


def test_a_rollback_is_marked_by_the_commit_of_its_image(aws: Aws) -> None:
    assert (
        Plan(aws=replace(aws, stage=STAGES["prod"]), tag=f"dev-{COMMIT}", builds=False, gate=GATE).proven_tag
        == f"prod-{COMMIT}"
    )


def test_a_stage_that_pulls_from_another_account_leaves_the_registry_to_it(aws: Aws) -> None:
    elsewhere = replace(aws, stage=replace(STAGES["prod"], registry_account="123456789012"))
    assert REGISTRY_STACK not in Plan(aws=elsewhere, tag=COMMIT, builds=False, gate=GATE).groundwork
    assert REGISTRY_STACK in Plan(aws=aws, tag=COMMIT, builds=True, gate=GATE).groundwork
