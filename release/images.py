"""Images in ECR: digests and tags, and the images that a stage may run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra.config import REPOSITORY
from infra.model import Stage
from release.aws import Aws
from release.command import NotReadyError, ReleaseError

if TYPE_CHECKING:
    from types_boto3_ecr.type_defs import ImageDetailTypeDef, ImageIdentifierTypeDef

_TAGS_SHOWN = 5


class Images:
    """The repository of a stage, whose tags are immutable."""

    def __init__(self, aws: Aws) -> None:
        self.ecr = aws.ecr
        self.repository: dict[str, Any] = {
            "registryId": aws.registry_account,
            "repositoryName": REPOSITORY,
        }
        """Arguments that each call of ECR takes."""

    def has_repository(self) -> bool:
        try:
            self.ecr.describe_images(**self.repository, maxResults=1)
        except self.ecr.exceptions.RepositoryNotFoundException:
            return False
        return True

    def digest(self, tag: str) -> str | None:
        """Return the digest of a tag; None if there is no such image."""
        image = self._describe({"imageTag": tag})
        return image["imageDigest"] if image else None

    def tags(self, digest: str) -> list[str]:
        image = self._describe({"imageDigest": digest})
        return sorted(image.get("imageTags", [])) if image else []

    def verified_in(self, stage: str, *, other_than: str = "", first: str | None = None) -> list[str]:
        """Return the tags of the latest images that a stage has run, newest first.

        `other_than` is a digest to leave out, `first` one to put first.
        """
        pages = self.ecr.get_paginator("describe_images").paginate(**self.repository, filter={"tagStatus": "TAGGED"})
        try:
            images = [image for image in pages.search("imageDetails") if image["imageDigest"] != other_than]
        except self.ecr.exceptions.RepositoryNotFoundException:
            return []
        images.sort(key=lambda image: (image["imageDigest"] == first, image["imagePushedAt"]), reverse=True)
        tags = [tag for image in images for tag in image.get("imageTags", []) if tag.startswith(f"{stage}-")]
        return tags[:_TAGS_SHOWN]

    def add_tag(self, digest: str, tag: str) -> None:
        """Tag a digest, unless it has the tag; raise ReleaseError if another image has it."""
        found = self.ecr.batch_get_image(**self.repository, imageIds=[{"imageDigest": digest}])
        if not found["images"]:
            raise ReleaseError(f"the registry no longer has {digest}")
        image = found["images"][0]
        try:
            self.ecr.put_image(
                **self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageTag=tag,
            )
        except (self.ecr.exceptions.ImageAlreadyExistsException, self.ecr.exceptions.ImageTagAlreadyExistsException):
            if (tagged := self.digest(tag)) != digest:
                raise ReleaseError(f"tag {tag} is immutable and already names {tagged}, not {digest}") from None

    def _describe(self, image: ImageIdentifierTypeDef) -> ImageDetailTypeDef | None:
        try:
            found = self.ecr.describe_images(**self.repository, imageIds=[image])
        except (self.ecr.exceptions.ImageNotFoundException, self.ecr.exceptions.RepositoryNotFoundException):
            return None
        return next(iter(found["imageDetails"]), None)


def require_releasable(stage: Stage, tag: str, images: Images) -> str:
    """Return the digest of an image; raise NotReadyError unless the stage may run it."""
    digest = images.digest(tag)
    before, name = stage.promotes_from, stage.name
    if not digest:
        advice = f"deploy it to {before} first, because {name} builds no images" if before else "it may have expired"
        raise NotReadyError(
            f"the registry has no image {tag}: {advice}",
            f"latest images that {before or name} has run: {', '.join(images.verified_in(before or name)) or 'none'}",
        )
    if before and not any(tag.startswith(f"{before}-") for tag in images.tags(digest)):
        raise NotReadyError(f"{name} only accepts images that {before} has run: deploy this commit to {before} first")
    return digest
