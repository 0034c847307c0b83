"""Types of the files that belong to the adopter: stages.py, workload.py and resources.py.

Each field explains what it does and what it costs. Prices are those of us-east-1.
"""

import platform
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

NOBODY = "nobody"
"""`alarm_email=NOBODY` explicitly disables alarm notifications."""
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
"""Retention periods that CloudWatch supports."""
REQUEST_ID = "REQUEST-ID"
"""Placeholder in a saved query for a request's ID."""
PLACEHOLDER = '-ID"'
"""End of the placeholders in saved queries, which people replace in Logs Insights; `make logs` can't run them."""


class ConfigurationError(Exception):
    """The configuration is invalid. Commands print its message, which is one line, and exit with 1 or 2."""


class StageError(ConfigurationError):
    """A stage does not exist, or one of its fields is invalid."""


class TargetError(ConfigurationError):
    """The account or region is missing or conflicting."""


class Egress(Enum):
    """How tasks reach AWS. Prices are per month in us-east-1. With `Stage.vpc`, the VPC must provide it."""

    PUBLIC_IP = "public-ip"
    """A public address per task, $3.65 each. Only the load balancer's security group may connect to a task."""
    ENDPOINTS = "endpoints"
    """Four interface endpoints in each of two zones, $58.40 plus $0.01 a GB. No route to the internet
    and SES."""
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
    """CloudFront in front of an internal load balancer: HTTPS at a cloudfront.net name, or at that of a domain. 1 TB
    and 10 million requests a month are free, then $0.085 a GB and $1 a million requests. The first deployment takes
    about 15 minutes longer, and the web ACL can't use AWS's IP reputation list."""


class Architecture(Enum):
    """CPU architecture of tasks and image. Stages that share images must have the same one."""

    X86_64 = "linux/amd64"
    ARM64 = "linux/arm64"
    """A fifth cheaper than x86 on Fargate. Building needs an ARM machine or emulation: on GitHub, `runs-on:
    ubuntu-24.04-arm` in release.yml."""

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
    """A public name with a TLS certificate. Free, except for the Route 53 zone, $0.50 a month.

    With a zone, a stage creates DNS records and, unless there is a `certificate_arn`, the certificate. Without one, the
    stack's output DnsRecord is the record to create wherever the DNS is.
    """

    name: str
    """Such as www.example.com. Without a zone, it can't be the domain itself, unless your DNS has ALIAS records."""
    hosted_zone_id: str | None = None
    """ID of the Route 53 zone of the name. It is set here because synthesis makes no lookups."""
    zone_name: str | None = None
    """Name of that zone, such as example.com."""
    certificate_arn: str | None = None
    """Existing certificate of ACM for the name, in the stage's account: in its region or, with Entrance.CLOUDFRONT,
    which requires one, in us-east-1. ACM only renews it while its DNS record for validation exists."""


@dataclass(frozen=True, kw_only=True)
class Vpc:
    """An existing VPC. Its owner pays for routes, endpoints and flow logs, so `make cost` omits them.

    Everything is set here, because synthesis makes no lookups. A stage needs subnets in two zones or more.
    """

    vpc_id: str
    """VPC in the stage's account, or shared with it, with DNS support. Entrance.CLOUDFRONT requires one of the account
    itself, with an internet gateway."""
    zones: tuple[str, ...]
    """Availability zones of the subnets: ("eu-west-1a", "eu-west-1b")."""
    load_balancer_subnets: tuple[str, ...]
    """A subnet in each zone, in their order, with eight free addresses: public ones or, with Entrance.CLOUDFRONT, ones
    without a route to an internet gateway."""
    task_subnets: tuple[str, ...]
    """A subnet in each zone, in their order: public ones with Egress.PUBLIC_IP, ones with a route to a NAT gateway
    with Egress.NAT, and ones with the endpoints of infra/constructs/network.py with Egress.ENDPOINTS."""


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


class Service(Enum):
    """Services of which a workload may own resources. `Owned` explains how; another one needs an entry in
    infra/owned.py."""

    DYNAMODB = "dynamodb"
    """Tables, by name. On demand: $0.625 per million write units, $0.125 per million read units, $0.25 a GB."""
    SES = "ses"
    """Identities that send email; their `name` is a domain or an address. $0.10 per thousand emails."""


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A resource of the workload. infra/resources.py creates it; its permissions and price follow from this entry.

    Its physical name must be that of `Stage.physical_name`. CloudFormation may create it, tasks may use it with
    `actions`, and the permissions boundary allows no more. After changing `owns`, run `make bootstrap` before the next
    deployment.
    """

    service: Service
    name: str = ""
    """Suffix of the physical name, WORKLOAD-STAGE-NAME. One resource may omit it. SES: the identity."""
    actions: tuple[str, ...] = ()
    """IAM actions of tasks on this resource, such as dynamodb:GetItem."""
    indexes: bool = False
    """DynamoDB: also allow `actions` on the table's indexes."""
    writes: float = 0
    """For `make cost`, per request of a visitor: write units or emails."""
    reads: float = 0
    """Like `writes`: read units."""
    stored_kb: float = 0
    """For `make cost`: kilobytes that a request adds. Storage is billed as after a year."""


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret in Secrets Manager, $0.40 a month."""

    name: str
    """Suffix of its name, WORKLOAD/STAGE/NAME. Changing it replaces the secret."""
    variable: str
    """Environment variable of the tasks."""
    description: str
    needs_https: bool = False
    """Withhold the secret from the tasks of a stage that serves plain HTTP, except in the playground."""
    needed_by: Callable[["Stage"], bool] = lambda _: True
    """Whether a stage has the secret."""
    initial: str | None = None
    """Initial value of a secret that someone else issues. By default, it is random: 40 letters and digits."""


class Response(NamedTuple):
    """A kind of response: its status code, and a regular expression that is found in its body."""

    status: int
    body: str = ""


@dataclass(frozen=True, kw_only=True)
class SmokeTest:
    """A GET request after each deployment; the release fails unless the response is one of `expected`."""

    path: str
    expected: tuple[Response, ...] = (Response(200),)


@dataclass(frozen=True, kw_only=True)
class Failures:
    """How failures look in the log, so that `make deploy` explains them. The defaults suit plain text.

    In lines of JSON, it also reads `level`, `message` and `traceback`, in those of unexpected errors `method` and
    `route`, and in those of requests `request_id`, `method`, `path`, `status` and `duration_ms`.
    """

    pattern: str = "?ERROR ?CRITICAL ?Error ?Exception ?errorfactory"
    """CloudWatch filter pattern of the lines with the reason for a 5xx response."""
    outage: str | None = None
    """Prefix of the message of such a line if something that the application depends on fails. The error follows."""
    causes: Mapping[str, str] = field(default_factory=dict)
    """What such errors mean, and the next step, by regular expression; \\1 is its first group."""
    responses: tuple[Response, ...] = ()
    """Responses to smoke tests during such an outage. They are retried for 20 seconds instead of three minutes."""


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """An average request, for `make cost`. A kilobyte per request is a gigabyte per million requests."""

    response_kb: float = 10
    routes: int = 10
    """Routes in use all month, one metric each. Idle hours are free."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The application: a container that serves HTTP."""

    name: str
    """Prefix of the name of every resource; in an account, no other workload's name may begin with it. Changing it
    creates everything anew, next to the existing resources."""
    description: str
    """Such as "web shop". Changing it after `make bootstrap` fails: descriptions of policies are immutable."""

    context: str = "."
    """Folder with the Dockerfile."""
    image_files: tuple[str, ...]
    """Files in `context` that the image is built from. A commit that changes none of them reuses the image, and
    replaces no task."""
    commit_argument: str | None = None
    """Build argument that gets the commit."""
    container: str = "app"
    port: int = 8000
    """Port that the container listens on. Changing it replaces the target group: no requests are served for minutes."""
    health_path: str = "/"
    """Path that must respond with 200 before a new task gets requests, and every five seconds from then on. Running
    tasks must already respond at a new path, because the load balancer checks them there before they are replaced."""

    before_rollout: tuple[str, ...] = ()
    """Command, such as a migration, that runs once in a new image before the service gets that image. It replaces the
    Dockerfile's CMD. If it fails, the release stops, and the previous version keeps running.

    It has the service's network, roles, size, environment and secrets as they are deployed, so a new variable is
    missing until the next release. It must be safe to repeat, and to run twice at a time. On the first deployment, it
    runs after the service has started. Images that the stage has verified before, as in a rollback, skip it. Each run
    costs less than $0.001 and adds about a minute to the release. After setting it, run `make bootstrap` for the
    permissions."""

    environment: Callable[["Stage"], Mapping[str, str]] = lambda _: {}
    """Environment variables of a stage, which override `Stage.settings`. Tasks also get the image's digest as
    IMAGE_DIGEST and, with more than one vCPU, the number of whole ones as WEB_CONCURRENCY."""
    metrics_variable: str | None = None
    """Environment variable that gets a namespace in stages with `route_metrics`. Log lines then embed the metrics
    `duration_ms` and `failed` with the dimension `route` (CloudWatch's embedded metric format)."""
    counts_failures: bool = False
    """Whether the log lines of failed requests also embed `failed` without a dimension, with a StorageResolution of 1.
    Stages with `route_metrics` then have an alarm on it with a period of ten seconds, for $0.30 a month and again for
    the metric once a request fails, and alarms are watched for one minute after a rollout instead of three
    (docs/performance.md)."""
    settings_prefix: str = ""
    """Prefix of the variables that `Stage.settings` may set, such as MYAPP_."""
    problems: Callable[["Stage"], Iterable[str]] = lambda _: ()
    """Reasons why a stage can't work. Commands stop with the first one."""
    secrets: tuple[Secret, ...] = ()
    owns: tuple[Owned, ...] = ()

    smoke_tests: tuple[SmokeTest, ...] = ()
    """There is always one of `health_path`."""
    probe_path: str | None = None
    """Path that is requested twice a second during a deployment, so that its alarms have data; by default
    `health_path`. It should use everything that the application depends on."""
    failures: Failures = Failures()
    queries: Mapping[str, str] = field(default_factory=dict)
    """Logs Insights queries by name, for the console and `make logs QUERY=…`. Alarms refer to "failures", "slowest
    routes", "responses by route" and "deployment" if they exist. Free until they run, then $0.005 a GB."""
    post_path: str = "/"
    """Prefix of the paths to which a stage's `post_limit` applies."""
    blocked_body: Mapping[str, str] = field(default_factory=lambda: {"error": "this request was blocked"})
    """JSON body of the web ACL's responses with status 403."""
    limited_body: Mapping[str, str] = field(default_factory=lambda: {"error": "too many requests: wait five minutes"})
    """JSON body of the web ACL's responses with status 429."""
    traffic: Traffic = Traffic()

    def secrets_of(self, stage: "Stage") -> tuple[Secret, ...]:
        """Return the secrets that the tasks of a stage get."""
        return tuple(
            each
            for each in self.secrets
            if each.needed_by(stage) and (stage.https or stage.is_playground or not each.needs_https)
        )


def camel_case(name: str) -> str:
    return "".join(part.title() for part in re.split(r"[^A-Za-z0-9]", name))


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One deployment of the workload."""

    name: str
    account: str | None = None
    """AWS account ID; None uses the account of the credentials. A protected stage is not deployed without it. Once a
    stage names an account, so must the others that use the same one."""
    region: str | None = None
    """AWS region; None uses AWS_REGION or the profile's region. All stages of an account must use the same one."""
    registry_account: str | None = None
    """Account of the image registry; None is the stage's own account."""
    github: Repository | None = None
    """The repository whose workflows may deploy; None uses GITHUB in infra/stages.py."""
    promotes_from: str | None = None
    """Name of the stage whose images this one deploys, once they have run there, instead of building its own."""

    min_tasks: int = 2
    """Two tasks in two zones survive the loss of either. A task of this size costs about $9 a month (ARM: $7), and its
    public address $3.65."""
    max_tasks: int = 4
    cpu: int = 256
    """In 1/1024 of a virtual CPU."""
    memory: int = 512
    """In MiB. If GuardDuty's Runtime Monitoring is enabled, its agent takes up to 128 of 512."""
    architecture: Architecture = Architecture.X86_64
    cpu_seconds: int = 60
    """Resolution of the CPU metric that scaling follows: 60 s, or 20 s for $0.70 a month, which detects a spike in a
    minute and a half instead of six (docs/performance.md)."""
    requests_per_target: int = 6000
    """Target for requests per minute and task. 6000 is 100 a second, slightly less than a quarter of a vCPU can serve
    at 60% CPU (docs/performance.md)."""
    egress: Egress = Egress.PUBLIC_IP
    cidr: str = "10.0.0.0/16"
    """Private IPv4 block of the VPC, from /16 to /21; free. It must not overlap with networks that you connect the VPC
    to, and can't be changed while the stage is deployed."""
    vpc: Vpc | None = None
    """Existing VPC to use instead of creating one. It can't be set or removed while the stage is deployed. Requires
    `flow_logs=False`."""
    blocking_severity: Severity = Severity.CRITICAL
    """Scan findings of this severity or higher block a release unless .trivyignore.yaml lists them."""

    entrance: Entrance = Entrance.LOAD_BALANCER
    domain: Domain | None = None
    """Without a domain, a public load balancer serves plain HTTP at its own name, and CloudFront HTTPS at its own."""
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
    """POST, PATCH, PUT and DELETE requests per client address in five minutes to the workload's `post_path`; beyond
    that, the web ACL responds with 429. For stages without a web ACL, set a limit in the workload's `environment`."""
    max_reads: int = 1000
    """Read units per second of a table; DynamoDB throttles requests beyond them. A ceiling on cost: 1,000 units cost
    $329 if they are used all month."""
    max_writes: int = 100
    """Write units per second of a table: 100 units cost $164 if they are used all month."""
    flow_logs: bool = True
    """Log rejected connections, $0.50 a GB."""
    dashboard: bool = True
    """CloudWatch dashboard: $3 a month; the first three of an account are free."""
    route_metrics: bool = True
    """Latency and failures by route, $0.30 a month for each route in use and again for each failing one."""

    settings: tuple[tuple[str, str], ...] = ()
    """Additional environment variables, without secrets: (("MYAPP_LANGUAGE", "pt-BR"),)."""

    project: str = field(default="", repr=False)
    """Name of the workload, set by infra/config.py."""
    copy_of: str = field(default="", repr=False)
    """Name of the stage that `make confirm` copies to this one, set by infra/config.py."""

    @property
    def foundation_stack(self) -> str:
        return f"{camel_case(self.project)}Foundation-{self.name}"

    @property
    def service_stack(self) -> str:
        return f"{camel_case(self.project)}Service-{self.name}"

    @property
    def service(self) -> str:
        return f"{self.project}-{self.name}"

    cluster = service  # one name for both

    def physical_name(self, owned: Owned, **_: str) -> str:  # in 1.0.0, callers had to give account and region
        """Return the name of a resource of the workload."""
        if owned.service is Service.SES:
            return owned.name
        return f"{self.service}-{owned.name}" if owned.name else self.service

    @property
    def registry(self) -> str | None:
        """Account whose registry holds the images; None if it is that of the credentials."""
        return self.registry_account or self.account

    def secret_name(self, secret: Secret) -> str:
        return f"{self.project}/{self.name}/{secret.name}"

    @property
    def app_log_group(self) -> str:
        return f"/{self.project}/{self.name}/app"

    @property
    def flow_log_group(self) -> str:
        return f"/{self.project}/{self.name}/flow"

    @property
    def waf_log_group(self) -> str:
        """WAF requires the prefix aws-waf-logs-."""
        return f"aws-waf-logs-{self.project}-{self.name}"

    def log_bucket(self, *, account: str, region: str) -> str:
        return f"{self.service}-logs-{account}-{region}"

    @property
    def metrics_namespace(self) -> str:
        """Namespace of the embedded metrics. It identifies the stage, because the only dimension is the route."""
        return f"{self.project}/{self.name}"

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
    def alarm_address(self) -> str | None:
        return None if self.alarm_email == NOBODY else self.alarm_email

    @property
    def is_playground(self) -> bool:
        return "playground" in {self.name, self.copy_of}

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
        if not self.account:
            missing.append(f"{where} would be deployed to the account of any credentials: set account.")
        return missing
