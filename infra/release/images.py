"""The images in the registry: which digest a tag names, which tags a digest has, and one more tag for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.release.errors import NotReleasableError

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import ImageIdentifierTypeDef

PROVEN_IN = {"prod": "dev"}
"""A stage that builds nothing, and the stage that must have run an image before."""


class Images:
    """The one repository of all stages; its tags are immutable."""

    def __init__(self, ecr: ECRClient, *, account: str, repository: str) -> None:
        self._ecr = ecr
        self._account = account
        self._repository = repository

    def digest(self, tag: str) -> str | None:
        """Return what a tag names; None if there is no such image."""
        details = self._describe({"imageTag": tag})
        return details[0] if details else None

    def tags(self, digest: str) -> list[str]:
        details = self._describe({"imageDigest": digest})
        return sorted(details[1]) if details else []

    def add_tag(self, digest: str, tag: str) -> bool:
        """Tag a digest, and return whether that was news; raise NotReleasableError if the tag names another image."""
        present = self.digest(tag)
        if present == digest:
            return False
        if present:
            raise NotReleasableError(f"tag {tag} is immutable and already names {present}, not {digest}")
        answer = self._ecr.batch_get_image(
            registryId=self._account, repositoryName=self._repository, imageIds=[{"imageDigest": digest}]
        )
        if not answer["images"]:
            raise NotReleasableError(f"the registry no longer holds {digest}")
        image = answer["images"][0]
        self._ecr.put_image(
            registryId=self._account,
            repositoryName=self._repository,
            imageManifest=image["imageManifest"],
            imageManifestMediaType=image["imageManifestMediaType"],
            imageTag=tag,
        )
        return True

    def _describe(self, image: ImageIdentifierTypeDef) -> tuple[str, list[str]] | None:
        try:
            answer = self._ecr.describe_images(
                registryId=self._account, repositoryName=self._repository, imageIds=[image]
            )
        except self._ecr.exceptions.ImageNotFoundException:
            return None
        return next(((found["imageDigest"], found.get("imageTags", [])) for found in answer["imageDetails"]), None)


def require_proven(stage: str, digest: str, tags: list[str]) -> None:
    """Raise NotReleasableError unless the stage before this one has run the digest."""
    before = PROVEN_IN.get(stage)
    if before and not any(tag.startswith(f"{before}-") for tag in tags):
        raise NotReleasableError(
            f"{stage} takes only what {before} has run: release this commit to {before} first",
            f"{digest} has the tags: {', '.join(tags) or 'none'}",
        )
