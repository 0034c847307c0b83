"""Tags and digests, in a registry that keeps AWS's manners."""

import json
from collections.abc import Iterator

import pytest

from release.aws import Aws
from release.errors import NotReleasableError
from release.images import Images
from tests.release.conftest import ACCOUNT

REPOSITORY = "images-under-test"


@pytest.fixture
def images(aws: Aws) -> Iterator[Images]:
    aws.ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
    yield Images(aws.ecr, account=ACCOUNT, repository=REPOSITORY)
    aws.ecr.delete_repository(repositoryName=REPOSITORY, force=True)


def store(aws: Aws, tag: str, repository: str = REPOSITORY) -> str:
    """Put an image without layers into the registry, and return its digest."""
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": {"digest": tag}, "layers": []})
    answer = aws.ecr.put_image(
        repositoryName=repository, imageManifest=manifest, imageManifestMediaType=media_type, imageTag=tag
    )
    return answer["image"]["imageId"]["imageDigest"]


def test_a_tag_that_nobody_pushed_names_nothing(images: Images) -> None:
    assert images.digest("0123456789ab") is None


def test_a_digest_gets_one_more_tag_under_which_it_is_found(aws: Aws, images: Images) -> None:
    digest = store(aws, "0123456789ab")
    assert images.add_tag(digest, "dev-0123456789ab")
    assert images.digest("dev-0123456789ab") == digest
    assert images.tags(digest) == ["0123456789ab", "dev-0123456789ab"]


def test_the_same_tag_again_is_no_news(aws: Aws, images: Images) -> None:
    digest = store(aws, "0123456789ab")
    images.add_tag(digest, "dev-0123456789ab")
    assert not images.add_tag(digest, "dev-0123456789ab")


def test_a_tag_of_another_image_is_never_moved(aws: Aws, images: Images) -> None:
    first, second = store(aws, "aaaaaaaaaaaa"), store(aws, "bbbbbbbbbbbb")
    images.add_tag(first, "dev-aaaaaaaaaaaa")
    with pytest.raises(NotReleasableError, match=f"already names {first}"):
        images.add_tag(second, "dev-aaaaaaaaaaaa")
    assert images.digest("dev-aaaaaaaaaaaa") == first


def unseen_at_first(images: Images, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the first look at a tag be before another release has set it."""
    look, looks = images.digest, list[str]()

    def digest(tag: str) -> str | None:
        looks.append(tag)
        return look(tag) if len(looks) > 1 else None

    monkeypatch.setattr(images, "digest", digest)


def test_a_tag_that_another_release_was_faster_to_set_is_no_news(
    aws: Aws, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = store(aws, "0123456789ab")
    images.add_tag(digest, "dev-0123456789ab")
    unseen_at_first(images, monkeypatch)
    assert not images.add_tag(digest, "dev-0123456789ab")


def test_a_tag_that_another_release_gave_to_another_image_is_an_error(
    aws: Aws, images: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = store(aws, "aaaaaaaaaaaa"), store(aws, "bbbbbbbbbbbb")
    images.add_tag(first, "dev-aaaaaaaaaaaa")
    unseen_at_first(images, monkeypatch)
    with pytest.raises(NotReleasableError, match=f"already names {first}"):
        images.add_tag(second, "dev-aaaaaaaaaaaa")


def test_an_expired_image_cannot_be_tagged(images: Images) -> None:
    with pytest.raises(NotReleasableError, match="no longer holds"):
        images.add_tag("sha256:" + "0" * 64, "dev-0123456789ab")
