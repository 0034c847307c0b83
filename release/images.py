"""The images in the registry: which digest a tag names, which tags a digest has, and one more tag for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from release.aws import Aws
from release.errors import NotReleasableError

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import ImageIdentifierTypeDef

PROVEN_IN = {"prod": "dev"}
"""A stage that builds nothing, and the stage that must have run an image before."""


_TAGS_SHOWN = 5


class Images:
    """A repository of images; its tags are immutable."""

    def __init__(self, ecr: ECRClient, *, account: str, repository: str) -> None:
        self._ecr = ecr
        self._account = account
        self.repository = repository

    def digest(self, tag: str) -> str | None:
        """Return what a tag names; None if there is no such image."""
        details = self._describe({"imageTag": tag})
        return details[0] if details else None

    def tags(self, digest: str) -> list[str]:
        details = self._describe({"imageDigest": digest})
        return sorted(details[1]) if details else []

    def proven_in(self, stage: str) -> list[str]:
        """Return the tags of the last images that a stage has run, newest first."""
        pages = self._ecr.get_paginator("describe_images").paginate(
            registryId=self._account, repositoryName=self.repository, filter={"tagStatus": "TAGGED"}
        )
        try:
            images = [image for page in pages for image in page["imageDetails"]]
        except self._ecr.exceptions.RepositoryNotFoundException:
            return []
        newest = sorted(images, key=lambda image: image["imagePushedAt"], reverse=True)
        tags = [tag for image in newest for tag in image.get("imageTags", []) if tag.startswith(f"{stage}-")]
        return tags[:_TAGS_SHOWN]

    def add_tag(self, digest: str, tag: str) -> bool:
        """Tag a digest, and return whether that was news; raise NotReleasableError if the tag names another image."""
        present = self.digest(tag)
        if present:
            return self._tagged_by_another(digest, tag)
        answer = self._ecr.batch_get_image(
            registryId=self._account, repositoryName=self.repository, imageIds=[{"imageDigest": digest}]
        )
        if not answer["images"]:
            raise NotReleasableError(f"the registry no longer holds {digest}")
        image = answer["images"][0]
        try:
            self._ecr.put_image(
                registryId=self._account,
                repositoryName=self.repository,
                imageManifest=image["imageManifest"],
                imageManifestMediaType=image["imageManifestMediaType"],
                imageTag=tag,
            )
        except (self._ecr.exceptions.ImageAlreadyExistsException, self._ecr.exceptions.ImageTagAlreadyExistsException):
            return self._tagged_by_another(digest, tag)
        return True

    def _tagged_by_another(self, digest: str, tag: str) -> bool:
        """Return False, no news, if a release at the same time gave the tag to the same image."""
        present = self.digest(tag)
        if present != digest:
            raise NotReleasableError(f"tag {tag} is immutable and already names {present}, not {digest}")
        return False

    def _describe(self, image: ImageIdentifierTypeDef) -> tuple[str, list[str]] | None:
        try:
            answer = self._ecr.describe_images(
                registryId=self._account, repositoryName=self.repository, imageIds=[image]
            )
        except (self._ecr.exceptions.ImageNotFoundException, self._ecr.exceptions.RepositoryNotFoundException):
            return None
        return next(((found["imageDigest"], found.get("imageTags", [])) for found in answer["imageDetails"]), None)


def images_of(aws: Aws) -> Images:
    """Return the images that the stage's account may run."""
    return Images(aws.ecr, account=aws.registry_account, repository=aws.stage.image_repository)


def require_releasable(stage: str, tag: str, images: Images) -> None:
    """Raise NotReleasableError unless a stage that builds nothing may run what the tag names."""
    digest = images.digest(tag)
    before = PROVEN_IN.get(stage)
    if not digest:
        known = images.proven_in(before or stage)
        advice = f"release it to {before} first, nothing is built for {stage}" if before else "it may have expired"
        raise NotReleasableError(
            f"the registry holds no image {tag}: {advice}",
            f"the last that {before or stage} has run: {', '.join(known) or 'none'}",
        )
    tags = images.tags(digest)
    if before and not any(name.startswith(f"{before}-") for name in tags):
        raise NotReleasableError(
            f"{stage} takes only what {before} has run: release this commit to {before} first",
            f"{digest} has the tags: {', '.join(tags)}",
        )
