"""Each stage as data: what differs between dev, prod, the playground and a preview, and every name derived from it."""

import difflib
import re
from dataclasses import dataclass, replace

from infra.errors import StageError, UnknownStageError
from infra.options import Architecture, Domain, Egress, Rollout, Severity

PROJECT = "comments"
REPOSITORY = PROJECT
"""The one ECR repository of all stages."""
_ALL = 100
_NEED_MODERATOR = {"COMMENTS_MODERATION", "COMMENTS_STATUS_THREAD"}
"""Settings with which the service only starts if it has a moderator token."""
ACCESS_STACK = "CommentsAccess"
REGISTRY_STACK = "CommentsRegistry"


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
    spot_share: int = 0
    """Percent of the tasks beyond the first that run on Spot: about 70 % cheaper, stopped with two minutes' notice."""
    rollout: Rollout = Rollout.ROLLING
    cpu_target: int = 60
    """Percent; a deployment, a lost task and a burst must fit into the rest."""
    cpu_seconds: int = 60
    """Seconds between the values of CPU that scaling sees: 60, or 20 for $0.70 a month, which finds a spike in a minute
    and a half instead of six: docs/performance.md."""
    requests_per_target: int = 6000
    """Per minute and task: 100 a second, two thirds of what a quarter of a vCPU serves."""
    egress: Egress = Egress.PUBLIC_IP
    refuse: Severity = Severity.CRITICAL
    """The least severe finding of ECR's scan that keeps an image out, unless infra/release/acceptances.toml names it.

    HIGH is for visitors' sake in prod: a Debian base image often has some, which are mended or accepted by name.
    """

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
    """Counts, network and disk of the tasks as metrics, $11.40 a month; alarms and dashboard do without."""
    route_metrics: bool = True
    """Answer times and failures by route, $0.30 a month for each route in use, and as much for each that fails."""

    settings: tuple[tuple[str, str], ...] = ()
    """Further settings of the service, such as (("COMMENTS_CORS_ORIGINS", "https://www.example.com"),): see README."""

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
    def metrics_namespace(self) -> str:
        """Where the metrics of its log lines are; the namespace tells stages apart, the only dimension is the route."""
        return f"{PROJECT}/{self.name}"

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
        # Seldom asked, and destroyed without regret: one task, and none of what watches over many visitors.
        Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, container_insights=False),
        Stage(name="prod", max_tasks=20, cpu_seconds=20, protect=True, log_days=90, refuse=Severity.HIGH),
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
    route_metrics=False,
)


def stage_named(name: str) -> Stage:
    """Return the stage; raise UnknownStageError, which names the nearest one, or StageError for what cannot work."""
    if name in STAGES:
        return _checked(STAGES[name])
    if re.fullmatch(r"pr-[1-9][0-9]{0,5}", name):
        return replace(PREVIEW, name=name)
    near = difflib.get_close_matches(name, STAGES, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UnknownStageError(
        f"unknown stage {name!r}: it is one of {', '.join(STAGES)} or pr-N for pull request N{hint}"
    )


def _checked(stage: Stage) -> Stage:
    """Return the stage, or raise StageError, which names the field: AWS would say so only half way through."""
    where = f"stage {stage.name} in infra/stages.py"
    if not 1 <= stage.min_tasks <= stage.max_tasks:
        raise StageError(f"{where}: min_tasks is {stage.min_tasks}; it is from 1 to max_tasks, {stage.max_tasks}")
    if stage.cpu_seconds not in (20, 60):
        raise StageError(f"{where}: cpu_seconds is {stage.cpu_seconds}; ECS knows 20 and 60")
    if not 0 <= stage.spot_share <= _ALL:
        raise StageError(f"{where}: spot_share is {stage.spot_share}; it is a percentage from 0 to 100")
    for name, _ in stage.settings:
        if not re.fullmatch(r"COMMENTS_[A-Z_]+", name) or "TOKEN" in name:
            raise StageError(f"{where}: settings has {name}; it takes COMMENTS_ variables, and no secret")
        if name in _NEED_MODERATOR and not (stage.https or stage.name == "playground"):
            raise StageError(f"{where}: {name} needs a moderator token, which only a stage with a domain has")
    if stage.rollout is Rollout.CANARY and stage.name == "playground":
        raise StageError(f"{where}: rollout is canary, which the playground has not; make it Rollout.ROLLING")
    return stage
