"""An emulated account: its number and region, stacks to create, and images to store."""

import json
from collections.abc import Callable

from infra.config import REPOSITORY
from release.aws import Aws

ACCOUNT = "000000000000"
REGION = "us-east-1"
TOPIC = {"Type": "AWS::SNS::Topic"}
Create = Callable[..., None]


def store_image(aws: Aws, tag: str) -> str:
    """Put an image without layers into the registry, and return its digest."""
    media_type = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = json.dumps({"schemaVersion": 2, "mediaType": media_type, "config": {"digest": tag}, "layers": []})
    stored = aws.ecr.put_image(
        repositoryName=REPOSITORY,
        imageManifest=manifest,
        imageManifestMediaType=media_type,
        imageTag=tag,
    )
    return stored["image"]["imageId"]["imageDigest"]
