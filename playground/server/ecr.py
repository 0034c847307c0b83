"""ECR: maps image names to the local registry, and authenticates and authorizes registry requests."""

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
    """Return an ECR image's name in the local registry, so that Docker never pulls from the real ECR."""
    name = ECR_HOST.sub(f"{registry}/", image)
    if "amazonaws.com" in name.partition("/")[0]:
        raise ValueError(f"image {image}: the playground only runs images from its registry, {registry}")
    return name


def repository_of(image: str, registry: str) -> str | None:
    """Return the repository of an image in this registry, or None for an image from another registry."""
    host, _, rest = image.partition("/")
    return re.split(r"[@:]", rest, maxsplit=1)[0] if host == registry else None


def has_image(repository: str, digest: str) -> bool:
    return any(image["imageDigest"] == digest for image in ecr._images.get(repository, ()))


def install() -> None:
    extend("ecr", {"GetAuthorizationToken": get_authorization_token})


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
"""Required ECR permission by type of registry path and HTTP method."""
CHALLENGE = {"WWW-Authenticate": f'Basic realm="http://{SETTINGS.registry}/",service="ecr.amazonaws.com"'}

_owners: dict[str, str] = {}
"""ARN of the caller that each password was issued to."""


def get_authorization_token(_data: Record) -> Any:
    """GetAuthorizationToken: issue a registry password to the caller."""
    password = secrets.token_urlsafe(32)
    _owners[password] = iam_evaluator.caller_arn()
    token = base64.b64encode(f"{USER}:{password}".encode()).decode()
    return json_response({"authorizationData": [{"authorizationToken": token, "proxyEndpoint": SETTINGS.registry}]})


def owner_of(authorization: str) -> str | None:
    """Return the ARN that an Authorization header authenticates, or None if its credentials are invalid."""
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
        status, headers, text = ecr._registry_error(401, "UNAUTHORIZED", "no basic auth credentials")
        return status, headers | CHALLENGE, text
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


@patch(ecs, "_get_docker", gap="pulls have no registry credentials")
def get_docker() -> Any:
    """Add registry credentials for ECS's pulls; `ecs_launch` checks the task's execution role before each pull."""
    client = stock_get_docker()
    if client and SETTINGS.registry not in client.api._auth_configs.auths:
        password = secrets.token_urlsafe(32)
        _owners[password] = ROOT
        client.api._auth_configs.add_auth(SETTINGS.registry, {"username": USER, "password": password})
    return client
