"""Each stage as data: what differs between dev, prod, the playground and a preview, and every name derived from it."""

import difflib
import platform
import re
from dataclasses import dataclass, replace
from enum import Enum

from infra.errors import UnknownStageError

PROJECT = "comments"
REPOSITORY = PROJECT
"""The one ECR repository of all stages."""
ACCESS_STACK = "CommentsAccess"
REGISTRY_STACK = "CommentsRegistry"


class Egress(Enum):
    """How a task reaches AWS, with what that costs a month in us-east-1."""

    PUBLIC_IP = "public-ip"
    """A public address per task, $3.65 each. Only the balancer's security group may connect to a task."""
    ENDPOINTS = "endpoints"
    """Interface endpoints in two zones, about $58: no route to the internet at all."""
    NAT = "nat"
    """A NAT gateway in each of two zones, $33 each and $0.045 a GB."""


class Architecture(Enum):
    """The processor that tasks run on and the image is built for; stages that share a digest must share it."""

    X86_64 = "linux/amd64"
    ARM64 = "linux/arm64"
    """A fifth cheaper than x86 on Fargate; needs a build machine of the same kind, or emulation."""

    @classmethod
    def of_this_machine(cls) -> "Architecture":
        return cls.ARM64 if platform.machine().lower() in {"arm64", "aarch64"} else cls.X86_64


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A public name for the service; without one it speaks HTTP at the balancer's own name."""

    name: str
    """Such as comments.example.com."""
    hosted_zone_id: str
    """Of the Route 53 zone that holds the name; given here since a synthesis looks nothing up."""
    zone_name: str
    """Such as example.com."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One deployment of the service."""

    name: str
    account: str | None = None
    """The AWS account, 12 digits; None takes the one that the credentials belong to."""
    region: str | None = None
    """The AWS region; None takes AWS_REGION or the profile's."""
    registry_account: str | None = None
    """The account that holds the images; None when it is the stage's own."""

    min_tasks: int = 2
    """Two, in two zones, outlive the loss of either. A task of this size is about $9 a month (ARM: a fifth less)."""
    max_tasks: int = 4
    cpu: int = 256
    """In 1/1024 of a virtual CPU."""
    memory: int = 512
    """In MiB."""
    architecture: Architecture = Architecture.X86_64
    spot: bool = False
    """Tasks beyond the first run on Spot: up to 70 % cheaper, stopped with two minutes' notice."""
    cpu_target: int = 60
    """Percent; a deployment, a lost task and a burst must fit into the rest."""
    requests_per_target: int = 6000
    """A minute and task: 100 a second, half of what a quarter of a vCPU answers."""
    egress: Egress = Egress.PUBLIC_IP

    domain: Domain | None = None
    protect: bool = False
    """Keep the table, the logs and the balancer whatever is deleted."""
    log_days: int = 30
    """Days until logs expire; one of the periods that CloudWatch knows."""
    alarm_email: str | None = None
    """Who hears of an alarm; the address confirms a subscription once."""
    web_acl: bool = True
    """WAF: $5 for the list, $1 a rule and $0.60 a million requests, about $9 a month."""
    post_limit: int = 300
    """POST requests that one connecting address may send in five minutes; the web ACL answers 429 beyond."""
    flow_logs: bool = True
    """Rejected connections, $0.50 a GB."""
    dashboard: bool = True
    """$3 a month, after three free ones."""
    container_insights: bool = True
    """Task counts and memory as metrics, about $5 a month."""

    @property
    def foundation_stack(self) -> str:
        return f"CommentsFoundation-{self.name}"

    @property
    def service_stack(self) -> str:
        return f"CommentsService-{self.name}"

    @property
    def table(self) -> str:
        return f"{PROJECT}-{self.name}"

    @property
    def cluster(self) -> str:
        return f"{PROJECT}-{self.name}"

    @property
    def service(self) -> str:
        return f"{PROJECT}-{self.name}"

    @property
    def moderator_secret(self) -> str:
        return f"{PROJECT}/{self.name}/moderator"

    @property
    def app_log_group(self) -> str:
        return f"/{PROJECT}/{self.name}/app"

    @property
    def flow_log_group(self) -> str:
        return f"/{PROJECT}/{self.name}/flow"

    @property
    def waf_log_group(self) -> str:
        """WAF accepts only groups whose name starts so."""
        return f"aws-waf-logs-{PROJECT}-{self.name}"

    def log_bucket(self, *, account: str, region: str) -> str:
        return f"{PROJECT}-{self.name}-logs-{account}-{region}"

    def alarm(self, subject: str) -> str:
        return f"{PROJECT}-{self.name}-{subject}"

    @property
    def deployment_alarms(self) -> tuple[str, str]:
        """Literal names: a token of an alarm in its own deployment would be circular."""
        return self.alarm("5xx"), self.alarm("latency")

    @property
    def https(self) -> bool:
        return self.domain is not None

    @property
    def is_preview(self) -> bool:
        return self.name.startswith("pr-")


STAGES = {
    stage.name: stage
    for stage in (
        Stage(name="dev"),
        Stage(name="prod", max_tasks=10, protect=True, log_days=90),
        Stage(name="playground", architecture=Architecture.of_this_machine(), max_tasks=6, log_days=1),
    )
}
PREVIEW = Stage(
    name="pr-N",
    min_tasks=1,
    max_tasks=1,
    log_days=1,
    web_acl=False,
    flow_logs=False,
    dashboard=False,
    container_insights=False,
)


def stage_named(name: str) -> Stage:
    """Return the stage, or raise UnknownStageError, which names the nearest one."""
    if name in STAGES:
        return STAGES[name]
    if re.fullmatch(r"pr-[1-9][0-9]{0,5}", name):
        return replace(PREVIEW, name=name)
    near = difflib.get_close_matches(name, STAGES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UnknownStageError(
        f"unknown stage {name!r}: it is one of {', '.join(STAGES)} or pr-N for pull request N{hint}"
    )
