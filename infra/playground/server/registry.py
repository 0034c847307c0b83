"""ECR: image names that lead to this machine's registry, and answers about scans that say nothing was scanned."""

import re
from typing import Any

from ministack.core.responses import get_account_id, json_response

from infra.playground.server.patching import Record
from infra.playground.server.services import extend

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


def install() -> None:
    extend(
        "ecr", "AmazonEC2ContainerRegistry", {"StartImageScan": start_scan, "DescribeImageScanFindings": scan_findings}
    )
