"""The architecture's picture: four stacks, what is in them and what flows between, with the template's own numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from infra.pictures.svg import Box, arrow, document, frame, labelled, text

_WIDTH, _HEIGHT = 984, 540

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Stacks:
    """The templates of a stage."""

    access: Mapping[str, Any]
    registry: Mapping[str, Any]
    foundation: Mapping[str, Any]
    service: Mapping[str, Any]


def of_type(template: Mapping[str, Any], kind: str) -> list[Properties]:
    return [each.get("Properties", {}) for each in template["Resources"].values() if each["Type"] == kind]


def _pairs(properties: Properties, key: str) -> dict[str, str]:
    return {each["Key"]: each["Value"] for each in properties[key]}


def draw(stacks: Stacks, *, stage: str) -> str:
    """Return the picture of a stage and of what it shares with others."""
    parts = [*_frames(stage), *_service(stacks.service), *_foundation(stacks.foundation), *_shared(stacks)]
    return document(_WIDTH, _HEIGHT, label=f"The architecture of stage {stage}", parts=parts)


SERVICE = Box(160, 16, 540, 350)
FOUNDATION = Box(724, 16, 244, 350)
ACCESS = Box(160, 394, 256, 130)
REGISTRY = Box(440, 394, 260, 130)
VISITOR = Box(16, 146, 104, 64)
GITHUB = Box(16, 444, 104, 64)
WEB_ACL = Box(176, 146, 118, 64)
BALANCER = Box(324, 146, 150, 64)
TASKS = (Box(514, 84, 170, 64), Box(514, 204, 170, 64))
WATCH = Box(176, 286, 298, 64)
TABLE, LOGS, BUCKET, SECRET = (Box(740, 70 + 74 * row, 212, 62) for row in range(4))
ROLES = Box(176, 444, 224, 64)
IMAGES = Box(456, 444, 228, 64)


def _frames(stage: str) -> list[str]:
    return [
        *frame(SERVICE, f"CommentsService-{stage}", "can be thrown away and made again"),
        *frame(FOUNDATION, f"CommentsFoundation-{stage}", "outlives every deployment"),
        *frame(ACCESS, "CommentsAccess", "once per account"),
        *frame(REGISTRY, "CommentsRegistry", "once, where images are built"),
    ]


def _service(template: Mapping[str, Any]) -> list[str]:
    (balancer,) = of_type(template, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    group = of_type(template, "AWS::ElasticLoadBalancingV2::TargetGroup")[0]
    (scale,) = of_type(template, "AWS::ApplicationAutoScaling::ScalableTarget")
    (task,) = of_type(template, "AWS::ECS::TaskDefinition")
    policies = of_type(template, "AWS::ApplicationAutoScaling::ScalingPolicy")
    follows = "CPU" if len(policies) == 1 else "CPU and requests"
    drain = _pairs(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"]
    size = f"{int(task['Cpu']) / 1024:g} vCPU, {task['Memory']} MiB"
    container = task["ContainerDefinitions"][0]
    confined = f"user {container['User'].partition(':')[0]}"
    confined += ", read-only root" if container["ReadonlyRootFilesystem"] else ""
    ports = " and ".join(str(each["Port"]) for each in of_type(template, "AWS::ElasticLoadBalancingV2::Listener"))
    alarms = len(of_type(template, "AWS::CloudWatch::Alarm"))
    queries = len(of_type(template, "AWS::Logs::QueryDefinition"))
    parts = [
        *labelled(VISITOR, "visitors"),
        *labelled(
            BALANCER, "load balancer", f"port {ports}, {len(balancer['Subnets'])} zones", f"drains for {drain} s"
        ),
        *(part for box in TASKS for part in labelled(box, "Fargate task", size, confined)),
        text(599, 180, f"{scale['MinCapacity']} to {scale['MaxCapacity']} tasks, by {follows}", anchor="middle"),
        *labelled(WATCH, "watch", f"{alarms} alarms to a topic, a dashboard", f"{queries} saved queries"),
    ]
    check = f"{group['HealthCheckPath']} every {group['HealthCheckIntervalSeconds']} s"
    for box in TASKS:
        parts += arrow(BALANCER.right, (494, BALANCER.right[1]), (494, box.left[1]), box.left)
    parts.append(text(399, 228, check, anchor="middle"))
    acls = of_type(template, "AWS::WAFv2::WebACL")
    if acls:
        parts += labelled(WEB_ACL, "web ACL", f"{len(acls[0]['Rules'])} rules")
        parts += [*arrow(VISITOR.right, WEB_ACL.left), *arrow(WEB_ACL.right, BALANCER.left)]
    else:
        parts += arrow(VISITOR.right, BALANCER.left)
    parts += arrow(TASKS[0].right, TABLE.left)
    parts += arrow(TASKS[1].right, (712, TASKS[1].right[1]), (712, LOGS.left[1]), LOGS.left)
    return parts


def _foundation(template: Mapping[str, Any]) -> list[str]:
    (table,) = of_type(template, "AWS::DynamoDB::Table")
    (secret,) = of_type(template, "AWS::SecretsManager::Secret")
    (bucket,) = of_type(template, "AWS::S3::Bucket")
    groups = of_type(template, "AWS::Logs::LogGroup")
    kept = {each["RetentionInDays"] for each in groups}
    days = bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"]
    recovery = table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    return [
        *labelled(
            TABLE, "DynamoDB table", table["TableName"], "restorable to any second" if recovery else "no recovery"
        ),
        *labelled(LOGS, f"{len(groups)} log groups", f"kept for {' or '.join(map(str, sorted(kept)))} days"),
        *labelled(BUCKET, "log bucket", "the balancer's access log", f"kept for {days} days"),
        *labelled(SECRET, "secret", secret["Name"]),
    ]


def _shared(stacks: Stacks) -> list[str]:
    roles = len(of_type(stacks.access, "AWS::IAM::Role"))
    (images,) = of_type(stacks.registry, "AWS::ECR::Repository")
    tags = "immutable tags" if images["ImageTagMutability"] == "IMMUTABLE" else "tags"
    return [
        *labelled(GITHUB, "GitHub", "Actions"),
        *labelled(ROLES, f"{roles} roles", "one a kind of trust, no stored key"),
        *labelled(IMAGES, "ECR repository", f"{images['RepositoryName']}: all stages, {tags}"),
        *arrow(GITHUB.right, ROLES.left),
        *arrow(ROLES.right, IMAGES.left),
        *arrow((599, IMAGES.y), (599, TASKS[1].y + TASKS[1].height), label="by digest", at=(630, 320)),
    ]
