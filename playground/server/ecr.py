"""ECR: image names that lead to this machine's registry, which asks for a password and its owner's permission."""

import base64
import re
import secrets
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, json_response
from ministack.services import ecr, ecs

from playground.server import iam as identity
from playground.server.patching import SETTINGS, Record, extend, patch
from playground.state import ACCOUNT

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
        "GetAuthorizationToken": give_password,
    }
    extend("ecr", "AmazonEC2ContainerRegistry", actions)


USER = "AWS"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ACTIONS = {
    ("blob", "HEAD"): "BatchCheckLayerAvailability",
    ("blob", "GET"): "GetDownloadUrlForLayer",
    ("blob_uploads", "POST"): "InitiateLayerUpload",
    ("blob_upload_session", "PATCH"): "UploadLayerPart",
    ("blob_upload_session", "PUT"): "CompleteLayerUpload",
    ("manifest", "HEAD"): "BatchGetImage",
    ("manifest", "GET"): "BatchGetImage",
    ("manifest", "PUT"): "PutImage",
}
"""What ECR asks for, by what a path is about and the request's method."""
CHALLENGE = {"WWW-Authenticate": f'Basic realm="http://{SETTINGS.registry}/",service="ecr.amazonaws.com"'}

_owners: dict[str, str] = {}
"""Who asked for a password, by the password."""


def give_password(_data: Record) -> Any:
    """GetAuthorizationToken."""
    password = secrets.token_urlsafe(32)
    _owners[password] = iam_evaluator.caller_arn()
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return json_response({"authorizationData": [{"authorizationToken": token, "proxyEndpoint": SETTINGS.registry}]})


def owner_of(authorization: str) -> str | None:
    """Who sends this header of a request, None for a stranger."""
    kind, _, value = authorization.partition(" ")
    if kind != "Basic":
        return None
    user, _, password = base64.b64decode(value).decode().partition(":")
    return _owners.get(password) if user == USER else None


stock_registry_request = ecr.handle_registry_request


@patch(ecr, "handle_registry_request", gap="anyone may push and pull")
async def handle_registry_request(method: str, path: str, headers: Record, body: bytes, query_params: Record) -> Any:
    owner = owner_of(headers.get("authorization", ""))
    if owner is None:
        status, answered, text = ecr._registry_error(401, "UNAUTHORIZED", "no basic auth credentials")
        return status, answered | CHALLENGE, text
    verb, repository, _ = ecr._parse_v2_path(path) or ("", "", "")
    action = ACTIONS.get((verb, method.upper()))
    if action and owner != ROOT:
        try:
            identity.require(
                owner, f"ecr:{action}", f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{repository}"
            )
        except identity.NotAuthorized as error:
            return ecr._registry_error(403, "DENIED", str(error).removeprefix("AccessDeniedException: "))
    return await stock_registry_request(method, path, headers, body, query_params)


stock_get_docker = ecs._get_docker


@patch(ecs, "_get_docker", gap="its pulls bring no password")
def get_docker() -> Any:
    """ECS pulls as itself: what its task's execution role may do is asked before."""
    client = stock_get_docker()
    if client and SETTINGS.registry not in client.api._auth_configs.auths:
        password = secrets.token_urlsafe(32)
        _owners[password] = ROOT
        client.api._auth_configs.add_auth(SETTINGS.registry, {"username": USER, "password": password})
    return client
