"""The stages as data: dev, prod, the playground and previews, and the names of their resources.

Start at STAGES below. Each field of Stage explains what it does and what it costs.
"""

import difflib
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum

PROJECT = "comments"
REPOSITORY = PROJECT
"""The ECR repository that all stages share, except previews."""
PREVIEW_REPOSITORY = f"{PROJECT}-previews"
"""ECR repository of previews: no other stage deploys from it."""
ACCESS_STACK = "CommentsAccess"
REGISTRY_STACK = "CommentsRegistry"
BOOTSTRAP_QUALIFIER = "comments"
"""Part of the names of the bootstrap's roles and bucket, so that other CDK apps in the account are unaffected. Also
in cdk.json."""
TOOLKIT_STACK = "CommentsToolkit"
"""The bootstrap's stack; also in cdk.json."""
CONTAINER = "api"
"""The service's container. AWS may add others to a task: GuardDuty's agent, for example."""
DIGEST_PARAMETER = "ImageDigest"
"""CloudFormation parameter of the service stack: the digest of the image."""
NOBODY = "nobody"
"""`alarm_email=NOBODY` explicitly disables alarm notifications."""
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention periods that CloudWatch supports."""
DEFAULT_STAGE = "dev"
"""Stage of `cdk` commands without `-c stage=NAME`."""


class ConfigurationError(Exception):
    """The configuration is invalid. Commands print its message, which is one line, and exit with 1 or 2."""


class StageError(ConfigurationError):
    """A stage does not exist, or one of its fields is invalid."""


class TargetError(ConfigurationError):
    """The account or region is missing or conflicting."""


class Egress(Enum):
    """How tasks reach AWS. Prices are per month in us-east-1."""

    PUBLIC_IP = "public-ip"
    """A public address per task, $3.65 each. Only the load balancer's security group may connect to a task."""
    ENDPOINTS = "endpoints"
    """Four interface endpoints in each of two zones, $58.40 plus $0.01 a GB. No route to the internet."""
    NAT = "nat"
    """A NAT gateway with an address in each of two zones, $73.00 plus $0.045 a GB."""


class Entrance(Enum):
    """How visitors reach the load balancer. Changing it replaces the load balancer, and so the base URL.

    First deploy a protected stage with `protect=False`: CloudFormation can't delete a load balancer with deletion
    protection, and would leave the old one and its cost behind.
    """

    LOAD_BALANCER = "load-balancer"
    """A public load balancer: HTTPS with a domain, otherwise plain HTTP. Two public addresses, $3.65 each."""
    CLOUDFRONT = "cloudfront"
    """CloudFront in front of an internal load balancer: HTTPS at a cloudfront.net name, without a domain. 1 TB and 10
    million requests a month are free, then $0.085 a GB and $1 a million requests. The first deployment takes about 15
    minutes longer, and the web ACL can't use AWS's IP reputation list."""


class Architecture(Enum):
    """CPU architecture of tasks and image. Stages that share images must have the same one."""

    X86_64 = "linux/amd64"
    ARM64 = "linux/arm64"
    """A fifth cheaper than x86 on Fargate. Building needs an ARM machine or emulation."""

    @classmethod
    def of_this_machine(cls) -> "Architecture":
        return cls.ARM64 if platform.machine().lower() in {"arm64", "aarch64"} else cls.X86_64


class Severity(Enum):
    """Severity of vulnerabilities, most severe first."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"


@dataclass(frozen=True, kw_only=True)
class Domain:
    """A public name with a TLS certificate, for Entrance.LOAD_BALANCER."""

    name: str
    """Such as comments.example.com."""
    hosted_zone_id: str
    """ID of the Route 53 zone of the name. It is set here because synthesis makes no lookups."""
    zone_name: str
    """Such as example.com."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A GitHub repository whose workflows may deploy.

    It is set here instead of in the CDK context, because a command without that context would delete the roles.
    """

    name: str
    """owner/name, in the same case as on GitHub."""
    owner_id: int
    """`make bootstrap GITHUB=owner/name` prints both IDs. A repository that reuses the name later has other IDs."""
    repository_id: int
    accept_name_subject: bool = False
    """True also accepts subjects without IDs. GitHub sends them for repositories created before 15 July 2026 that have
    not been renamed since and have not opted in to immutable subjects."""
    create_provider: bool = True
    """False if the account already has an identity provider for GitHub: there can be only one."""

    def subjects(self, run: str) -> list[str]:
        """Return the accepted subjects of a kind of workflow run, such as `environment:dev`."""
        owner, name = self.name.split("/")
        subjects = [f"repo:{owner}@{self.owner_id}/{name}@{self.repository_id}:{run}"]
        return [*subjects, f"repo:{self.name}:{run}"] if self.accept_name_subject else subjects


GITHUB: Repository | None = None
"""The repository whose workflows may deploy; None creates no roles for GitHub."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One deployment of the service."""

    name: str
    account: str | None = None
    """AWS account ID; None uses the account of the credentials."""
    region: str | None = None
    """AWS region; None uses AWS_REGION or the profile's region. All stages of an account must use the same one."""
    registry_account: str | None = None
    """Account of the image registry; None is the stage's own account."""
    github: Repository | None = GITHUB
    promotes_from: str | None = None
    """Name of the stage whose images this one deploys, once they have run there, instead of building its own."""

    min_tasks: int = 2
    """Two tasks in two zones survive the loss of either. A task of this size costs about $9 a month (ARM: $7), and its
    public address $3.65."""
    max_tasks: int = 4
    cpu: int = 256
    """In 1/1024 of a virtual CPU."""
    memory: int = 512
    """In MiB."""
    architecture: Architecture = Architecture.X86_64
    spot_share: int = 0
    """Percentage of the tasks beyond the first that run on Fargate Spot: about 70% cheaper, two minutes' notice."""
    cpu_target: int = 60
    """Target CPU utilization in percent. The rest is headroom for deployments, a lost task and bursts."""
    cpu_seconds: int = 60
    """Resolution of the CPU metric that scaling follows: 60 s, or 20 s for $0.70 a month, which detects a spike in a
    minute and a half instead of six (docs/performance.md)."""
    requests_per_target: int = 6000
    """Target for requests per minute and task. 6000 is 100 a second, a little less than a quarter of a vCPU serves at
    `cpu_target` (docs/performance.md)."""
    egress: Egress = Egress.PUBLIC_IP
    blocking_severity: Severity = Severity.CRITICAL
    """Scan findings of this severity or higher block a release unless .trivyignore.yaml lists them."""

    entrance: Entrance = Entrance.LOAD_BALANCER
    domain: Domain | None = None
    """Without a domain, a public load balancer serves plain HTTP at its own name."""
    allow_http: bool = False
    """Allow a protected stage to deploy over plain HTTP."""
    protect: bool = False
    """Production: deletion protection, and everything stateful is retained when a stack is deleted."""
    log_days: int = 30
    """Log retention in days, one of LOG_DAYS."""
    alarm_email: str | None = None
    """Address that receives alarms once its owner confirms the subscription. Without one, alarms notify no one, and
    there is no budget. A protected stage needs an address or NOBODY."""
    monthly_budget: int | None = None
    """Monthly budget in USD. `alarm_email` is notified at 80 and 100 percent. Free."""
    web_acl: bool = True
    """WAF: $5 a month for the web ACL, $1 per rule and $0.60 per million requests; about $9 a month without traffic."""
    post_limit: int = 300
    """POST requests per client address in five minutes; beyond that, the web ACL responds with 429."""
    flow_logs: bool = True
    """Log rejected connections, $0.50 a GB."""
    dashboard: bool = True
    """CloudWatch dashboard: $3 a month; the first three of an account are free."""
    container_insights: bool = False
    """CloudWatch Container Insights: 38 metrics, $11.40 a month. Alarms and dashboard don't use them."""
    route_metrics: bool = True
    """Latency and failures by route, $0.30 a month for each route in use and again for each failing one."""

    settings: tuple[tuple[str, str], ...] = ()
    """Additional settings of the service (docs/configuration.md): (("COMMENTS_CORS_ORIGINS", "https://www.example.com"),)."""

    @property
    def data_stack(self) -> str:
        return f"CommentsFoundation-{self.name}"

    @property
    def service_stack(self) -> str:
        return f"CommentsService-{self.name}"

    @property
    def table(self) -> str:
        return f"{PROJECT}-{self.name}"

    cluster = service = table  # one name for all three

    @property
    def registry(self) -> str | None:
        """Account whose registry holds the images; None if it is that of the credentials."""
        return self.registry_account or self.account

    @property
    def image_repository(self) -> str:
        return PREVIEW_REPOSITORY if self.is_preview else REPOSITORY

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
        """WAF requires the prefix aws-waf-logs-."""
        return f"aws-waf-logs-{PROJECT}-{self.name}"

    def log_bucket(self, *, account: str, region: str) -> str:
        return f"{PROJECT}-{self.name}-logs-{account}-{region}"

    @property
    def metrics_namespace(self) -> str:
        """Namespace of the embedded metrics. It identifies the stage, because the only dimension is the route."""
        return f"{PROJECT}/{self.name}"

    @property
    def https(self) -> bool:
        return self.domain is not None or self.behind_cloudfront

    @property
    def behind_cloudfront(self) -> bool:
        return self.entrance is Entrance.CLOUDFRONT

    @property
    def trusted_proxies(self) -> int:
        """Proxies that append an address to X-Forwarded-For: the load balancer, and CloudFront in front of it."""
        return 2 if self.behind_cloudfront else 1

    @property
    def has_moderator(self) -> bool:
        """The moderator token requires TLS, except in the playground, which uses the loopback interface."""
        return self.https or self.is_playground

    @property
    def alarm_address(self) -> str | None:
        return None if self.alarm_email == NOBODY else self.alarm_email

    @property
    def is_preview(self) -> bool:
        return self.name.startswith("pr-")

    @property
    def is_playground(self) -> bool:
        return self.name == "playground"

    def missing_for_production(self) -> list[str]:
        """Return the requirements that a protected stage doesn't meet yet, one sentence each."""
        if not self.protect:
            return []
        where = f"Stage {self.name} in infra/stages.py"
        missing = []
        if not (self.https or self.allow_http):
            choices = "set domain, entrance=Entrance.CLOUDFRONT or allow_http=True"
            missing.append(f"{where} would serve plain HTTP: {choices}.")
        if not self.alarm_email:
            missing.append(f"{where} has no address for alarms: set alarm_email, or alarm_email=NOBODY.")
        return missing


STAGES = {
    stage.name: stage
    for stage in (
        # One task, without a web ACL and a dashboard.
        Stage(name="dev", min_tasks=1, web_acl=False, dashboard=False, monthly_budget=60),
        # Set domain and alarm_email before the first deployment.
        Stage(
            name="prod",
            promotes_from="dev",
            max_tasks=20,
            cpu_seconds=20,
            protect=True,
            log_days=90,
            blocking_severity=Severity.HIGH,
            monthly_budget=200,
        ),
        # AWS emulated on this machine. It has a repository so that its tests can assume GitHub's roles.
        Stage(
            name="playground",
            account="000000000000",
            github=Repository(name="example/comments", owner_id=1001, repository_id=2002),
            architecture=Architecture.of_this_machine(),
            max_tasks=6,
            log_days=1,
        ),
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
    route_metrics=False,
)
"""Template of the stages pr-N, one for each pull request."""


def stage_named(name: str) -> Stage:
    """Return a stage by its name; raise StageError for an unknown name or an invalid field."""
    if re.fullmatch(r"pr-[1-9][0-9]{0,5}", name):
        stage = replace(PREVIEW, name=name)
    elif name in STAGES:
        stage = STAGES[name]
    else:
        near = difflib.get_close_matches(name, STAGES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StageError(f"unknown stage {name!r}: use {', '.join(STAGES)} or pr-N for pull request N{hint}")
    if problem := next(_problems(stage), None):
        raise StageError(f"stage {stage.name} in infra/stages.py: {problem}")
    first: dict[str | None, Stage] = {}
    for other in (*STAGES.values(), PREVIEW):  # stages with a registry share images, which have one architecture
        shared = first.setdefault(other.registry, other)
        if other.architecture is not shared.architecture:
            raise StageError(
                f"stage {other.name} in infra/stages.py: architecture is {other.architecture.name}, but it runs the"
                f" images of {shared.name}, which are {shared.architecture.name}"
            )
    return stage


def stages_in_account_of(stage: Stage) -> list[Stage]:
    """Return the stages in the account of `stage` according to this file. PREVIEW represents all previews.

    Stages with `account=None` count as one account, that of the credentials, even if they are deployed with the
    credentials of different accounts. The playground includes every stage, so that each role can be tested.
    """
    stages = [other for other in (*STAGES.values(), PREVIEW) if not other.is_playground]
    return stages if stage.is_playground else [other for other in stages if other.account == stage.account]


def stages_in_registry_of(stage: Stage) -> list[Stage]:
    """Return the stages whose images are in the same registry as those of `stage`, protected ones first.

    As above, `account=None` counts as one account, and the playground includes every stage.
    """
    stages = sorted((*STAGES.values(), PREVIEW), key=lambda other: not other.protect)
    return [other for other in stages if stage.is_playground or other.registry == stage.registry]


def _problems(stage: Stage) -> Iterator[str]:
    """Yield the fields that AWS would reject during the deployment, each with what it must be."""
    yield from _problems_of_names(stage)
    if not 1 <= stage.min_tasks <= stage.max_tasks:
        yield f"min_tasks is {stage.min_tasks}; it must be from 1 to max_tasks, {stage.max_tasks}"
    if stage.cpu_seconds not in (20, 60):
        yield f"cpu_seconds is {stage.cpu_seconds}; ECS supports 20 and 60"
    if stage.log_days not in LOG_DAYS:
        yield f"log_days is {stage.log_days}; it must be one of {', '.join(map(str, LOG_DAYS))}"
    if stage.spot_share not in range(101):
        yield f"spot_share is {stage.spot_share}; it must be from 0 to 100 percent"
    if stage.domain and stage.behind_cloudfront:
        yield "domain requires Entrance.LOAD_BALANCER; CloudFront uses its own name"
    yield from _problems_of_settings(stage)


def _problems_of_names(stage: Stage) -> Iterator[str]:
    if not re.fullmatch(r"pr-\d+|(?!pr-)[a-z]([a-z0-9-]{0,18}[a-z0-9])?", stage.name):  # it is part of a bucket's name
        yield "name must have at most 20 of a-z, 0-9 and hyphens, and not begin with pr-"
    for other in STAGES:
        if stage.name.startswith(f"{other}-"):  # tags of images begin with it
            yield f"name must not begin with {other}-, which marks the images of {other}"
    if stage.promotes_from and stage.promotes_from not in STAGES.keys() - {stage.name}:
        yield f"promotes_from is {stage.promotes_from!r}; it must name another stage"
    for name in ("account", "registry_account"):
        account = getattr(stage, name)
        if account is not None and not (isinstance(account, str) and re.fullmatch(r"\d{12}", account)):
            yield f"{name} is {account!r}; it must be 12 digits in quotes"
    if stage.github and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", stage.github.name):
        yield f"github has the name {stage.github.name!r}; it must be owner/name"


def _problems_of_settings(stage: Stage) -> Iterator[str]:
    for name, _ in stage.settings:
        if not re.fullmatch(r"COMMENTS_[A-Z_]+", name) or "TOKEN" in name:
            yield f"settings has {name}; only COMMENTS_ variables without secrets are allowed"
        if name in {"COMMENTS_MODERATION", "COMMENTS_STATUS_THREAD"} and not stage.has_moderator:
            yield f"{name} needs a moderator token, which only a stage with HTTPS has"


@dataclass(frozen=True)
class Target:
    """AWS account and region; None if not known before deployment."""

    account: str | None
    region: str | None


def target_of(stage: Stage, environ: Mapping[str, str], *, caller_account: str | None = None) -> Target:
    """Return the stage's account and region; raise TargetError if the stage and the environment don't match.

    `caller_account` is the account of the credentials according to STS. The CDK CLI only sets CDK_DEFAULT_ACCOUNT if it
    finds credentials; without them, CDK_DEFAULT_REGION is always us-east-1 and therefore ignored.
    """
    where = f"stage {stage.name}"
    cdk_account = environ.get("CDK_DEFAULT_ACCOUNT")
    account = _agreed_value(
        "account", {where: stage.account, "CDK_DEFAULT_ACCOUNT": cdk_account, "the credentials": caller_account}
    )
    variables = {name: environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")}
    region = _agreed_value("region", {where: stage.region, **variables})
    for other in (*STAGES.values(), PREVIEW):
        if account in {other.account, other.registry_account} - {stage.account, None} and not other.is_playground:
            raise TargetError(
                f"{where} has no account in infra/stages.py, and {account} is the account of {other.name} or of its"
                f" images: set the account of {stage.name}, even if it is the same one"
            )
    return Target(account, region or (environ.get("CDK_DEFAULT_REGION") if cdk_account else None) or None)


def _agreed_value(kind: str, sources: Mapping[str, str | None]) -> str | None:
    """Return the value that the sources agree on; None if no source has one."""
    given = {source: value for source, value in sources.items() if value}
    if len(set(given.values())) > 1:
        each = ", ".join(f"{value} ({source})" for source, value in given.items())
        raise TargetError(f"conflicting {kind}: {each}; they must match (infra/stages.py has the stage's {kind})")
    return next(iter(given.values()), None)
