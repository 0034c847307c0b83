"""ECS: builds a container's options from its task definition: image, privileges, limits, mounts, credentials."""

from typing import Any

from docker.types import Mount, Ulimit
from ministack.core.responses import get_account_id, get_region
from ministack.services import cloudwatch_logs, ecs, secretsmanager

from playground.server import ecr, iam
from playground.server.patching import SETTINGS, Record, patch
from playground.state import LABEL

MEBIBYTE = 1024 * 1024
CPU_UNITS = 1024  # AWS: CPU units per vCPU

SUPPORTED = {
    "name", "image", "cpu", "memory", "memoryReservation", "essential", "environment", "secrets", "portMappings",
    "command", "entryPoint", "user", "workingDirectory", "readonlyRootFilesystem", "logConfiguration",
    "linuxParameters", "mountPoints", "stopTimeout", "ulimits", "versionConsistency", "privileged",
}  # fmt: skip
SUPPORTED_LINUX = {"capabilities", "initProcessEnabled", "tmpfs"}


def reject_unsupported(definition: Record) -> None:
    """Reject a task definition with unsupported settings; raises ValueError instead of ignoring them."""
    for container in definition.get("containerDefinitions", []):
        linux = container.get("linuxParameters") or {}
        unknown = {key for key, value in container.items() if key not in SUPPORTED and value}
        unknown |= {f"linuxParameters.{key}" for key, value in linux.items() if key not in SUPPORTED_LINUX and value}
        if unknown:
            raise ValueError(
                f"container {container['name']}: the playground does not support {', '.join(sorted(unknown))}"
            )
        driver = (container.get("logConfiguration") or {}).get("logDriver", "awslogs")
        if driver != "awslogs":
            raise ValueError(
                f"container {container['name']}: the playground supports the log driver awslogs, not {driver}"
            )
    for volume in definition.get("volumes", []):
        if set(volume) - {"name", "host"} or (volume.get("host") or {}).get("sourcePath"):
            raise ValueError(f"volume {volume['name']}: the playground supports empty Fargate volumes only")


stock_start_task_worker = ecs._start_task_worker


@patch(ecs, "_start_task_worker", gap="role and image are not checked; ECR's host names go to the Docker daemon")
def start_task_worker(task: Record, td: Record, container_overrides: list[Record], docker_client: Any) -> None:
    role = td.get("executionRoleArn") or ""
    for container in td.get("containerDefinitions", []):
        container["image"] = ecr.local_name(container["image"], SETTINGS.registry)
        check_image_access(role, container["image"])
        check_secret_access(role, container.get("secrets", []))
        check_log_group(role, (container.get("logConfiguration") or {}).get("options") or {})
    stock_start_task_worker(task, td, container_overrides, docker_client)


def check_image_access(role: str, image: str) -> None:
    repository = ecr.repository_of(image, SETTINGS.registry)
    if repository is None:
        return
    arn = f"arn:aws:ecr:{get_region()}:{get_account_id()}:repository/{repository}"
    try:
        iam.require(role, "ecr:GetAuthorizationToken", "*")
        iam.require(role, "ecr:BatchGetImage", arn)
        iam.require(role, "ecr:GetDownloadUrlForLayer", arn)
    except iam.NotAuthorized as error:
        raise ecs._ImagePullError(str(error)) from error
    if "@" in image and not ecr.has_image(repository, image.partition("@")[2]):
        failure = f"pull image manifest has been retried 1 time(s): failed to resolve ref {image}: not found"
        raise ecs._ImagePullError(failure)


def check_secret_access(role: str, secrets: list[Record]) -> None:
    for secret in secrets:
        if ":secretsmanager:" not in secret["valueFrom"]:
            continue
        base = ":".join(secret["valueFrom"].split(":")[:7])
        stored = [entry["ARN"] for entry in secretsmanager._secrets.values()]
        arn = next((found for found in stored if found.startswith(base)), base)
        try:
            iam.require(role, "secretsmanager:GetSecretValue", arn)
        except iam.NotAuthorized as error:
            raise ecs._SecretResolutionError(str(error)) from error


def check_log_group(role: str, options: Record) -> None:
    """Check that the log stream can be created. AWS: a task without a log stream doesn't start."""
    group = options.get("awslogs-group")
    if not group:
        return
    arn = f"arn:aws:logs:{get_region()}:{get_account_id()}:log-group:{group}:log-stream:any"
    try:
        iam.require(role, "logs:CreateLogStream", arn)
        iam.require(role, "logs:PutLogEvents", arn)
    except iam.NotAuthorized as error:
        raise ecs._SecretResolutionError(f"failed to validate logger args: {error}") from error
    if group not in cloudwatch_logs._log_groups and options.get("awslogs-create-group") != "true":
        raise ecs._SecretResolutionError(
            f"failed to validate logger args: create stream has been retried 1 times: failed to create Cloudwatch "
            f"log stream: ResourceNotFoundException: The specified log group {group} does not exist"
        )


stock_build_run_kwargs = ecs._build_run_kwargs


@patch(ecs, "_build_run_kwargs", gap="entry point, user, read-only root, capabilities, limits and volumes are ignored")
def build_run_kwargs(cdef: Record, td: Record, *rest: Any) -> Record:
    options: Record = stock_build_run_kwargs(cdef, td, *rest)
    linux = cdef.get("linuxParameters") or {}
    cpu = int(cdef.get("cpu") or td.get("cpu") or 0)
    memory = int(cdef.get("memory") or td.get("memory") or 0)
    options["labels"][LABEL] = str(SETTINGS.folder)
    options["healthcheck"] = {"test": ["NONE"]}  # ECS ignores the image's HEALTHCHECK
    options["cap_drop"] = (linux.get("capabilities") or {}).get("drop") or []
    options["init"] = bool(linux.get("initProcessEnabled"))
    options["mounts"] = mounts(cdef, td)
    options["read_only"] = bool(cdef.get("readonlyRootFilesystem"))
    options["tmpfs"] = {
        entry["containerPath"]: ",".join([f"size={entry['size']}m", *(entry.get("mountOptions") or [])])
        for entry in linux.get("tmpfs") or []
    }
    options["ulimits"] = [
        Ulimit(name=limit["name"], soft=limit["softLimit"], hard=limit["hardLimit"])
        for limit in cdef.get("ulimits") or []
    ]
    for key, option in (("entryPoint", "entrypoint"), ("user", "user"), ("workingDirectory", "working_dir")):
        if cdef.get(key):
            options[option] = cdef[key]
    if cpu:
        options["nano_cpus"] = cpu * 10**9 // CPU_UNITS
    if memory:
        options["mem_limit"] = options["memswap_limit"] = memory * MEBIBYTE
    return options


def mounts(container: Record, definition: Record) -> list[Mount]:
    """Return the mounts of empty Fargate volumes.

    AWS: root owns them, unless the image declares the path as a VOLUME with another owner.
    """
    points = container.get("mountPoints") or []
    declared = volumes_of_image(container["image"]) if points else set()
    return [
        Mount(
            target=point["containerPath"],
            source=None,
            type="volume",
            read_only=bool(point.get("readOnly")),
            no_copy=point["containerPath"] not in declared,
        )
        for point in points
        if any(volume["name"] == point["sourceVolume"] for volume in definition.get("volumes", []))
    ]


def volumes_of_image(image: str) -> set[str]:
    client = ecs._get_docker()
    return set(client.images.pull(image).attrs["Config"].get("Volumes") or {})


stock_register_metadata = ecs._register_metadata


@patch(ecs, "_register_metadata", gap="SDKs reject its credentials address, and the region is missing")
def register_metadata(  # noqa: PLR0917  # MiniStack passes the arguments by position
    task_arn: str, cluster_arn: str, td: Record, cdef: Record, launch_type: str, env: dict[str, str],
    *rest: Any,
) -> str:  # fmt: skip
    """Set the task role's credentials as environment variables; AWS serves them at a link-local address."""
    token: str = stock_register_metadata(task_arn, cluster_arn, td, cdef, launch_type, env, *rest)
    del env["AWS_CONTAINER_CREDENTIALS_FULL_URI"], env["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    if role := td.get("taskRoleArn"):
        env.update(iam.role_credentials(role, session=task_arn.rsplit("/", 1)[-1]))
    env.update(AWS_REGION=get_region(), AWS_DEFAULT_REGION=get_region(), AWS_EXECUTION_ENV="AWS_ECS_FARGATE")
    return token
