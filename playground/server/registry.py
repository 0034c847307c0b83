"""ECR: image names that lead to this machine's registry, and answers about scans that say nothing was scanned."""

import re
from typing import Any

from ministack.core.responses import get_account_id, json_response
from ministack.services import ecr

from playground.server import registry_access
from playground.server.patching import Record
from playground.server.services import extend

ECR_HOST = re.compile(r"^\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/")


def local_name(image: str, registry: str) -> str:
    """An ECR image's name in this machine's registry: Docker must never take the real host's name for a pull."""
    name = ECR_HOST.sub(f"{registry}/", image)
    if "amazonaws.com" in name.partition("/")[0]:
        raise ValueError(f"image {image}: the playground runs images of its own registry, {registry}")
    return name


def repository_of(image: str, registry: str) -> str | None:
    """The repository of an image that lives in this registry, None for an image from elsewhere."""
    host, _, rest = image.partition("/")
    return re.split(r"[@:]", rest, maxsplit=1)[0] if host == registry else None


def _scan_status(data: Record, **more: Any) -> Record:
    return {
        "registryId": get_account_id(),
        "repositoryName": data["repositoryName"],
        "imageId": data["imageId"],
        **more,
    }


def start_scan(data: Record) -> Any:
    """StartImageScan: accepted and complete at once."""
    return json_response(_scan_status(data, imageScanStatus={"status": "COMPLETE"}))


def scan_findings(data: Record) -> Any:
    """DescribeImageScanFindings: complete, no findings, and the description says why."""
    return json_response(
        _scan_status(
            data,
            imageScanStatus={"status": "COMPLETE", "description": "playground: not scanned"},
            imageScanFindings={"findings": [], "findingSeverityCounts": {}},
        )
    )


def delete_images(data: Record) -> Any:
    """BatchDeleteImage: MiniStack takes an image off the list, and goes on serving it to whoever knows its digest."""
    answer = ecr._batch_delete_image(data)
    name = data.get("repositoryName", "")
    listed = {image["imageDigest"] for image in ecr._images.get(name, [])}
    for digest in ecr._manifest_blobs.get(name, {}).keys() - listed:
        del ecr._manifest_blobs[name][digest]
    return answer


def install() -> None:
    actions = {
        "StartImageScan": start_scan,
        "DescribeImageScanFindings": scan_findings,
        "BatchDeleteImage": delete_images,
        "GetAuthorizationToken": registry_access.give_password,
    }
    extend("ecr", "AmazonEC2ContainerRegistry", actions)
