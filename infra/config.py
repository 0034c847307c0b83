"""The configuration: the only module that reads infra/stages.py, workload.py and resources.py.

It looks up stages, validates both files with errors that name the field, and derives names from them.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from infra.model import (
    LOG_DAYS,
    Architecture,
    ConfigurationError,
    Domain,
    Egress,
    Owned,
    Repository,
    Service,
    Stage,
    StageError,
    TargetError,
    Workload,
    camel_case,
)

if TYPE_CHECKING:
    from infra.constructs.own_resources import OwnResources

_PACKAGE = os.environ.get("CONFIG_PACKAGE") or "infra"
"""Python package with the three files. Tests and examples have their own."""
_stages = importlib.import_module(f"{_PACKAGE}.stages")

WORKLOAD: Workload = importlib.import_module(f"{_PACKAGE}.workload").WORKLOAD
PROJECT = WORKLOAD.name
TITLE = camel_case(PROJECT)
"""Beginning of the names of stacks."""
ACCESS_STACK = f"{TITLE}Access"
REGISTRY_STACK = f"{TITLE}Registry"
TOOLKIT_STACK = f"{TITLE}Toolkit"
"""The bootstrap's stack."""
BOOTSTRAP_QUALIFIER = PROJECT.replace("-", "")[:10]
"""Part of the names of the bootstrap's roles and bucket, so that other CDK apps in the account are unaffected. CDK: at
most ten letters and digits."""
OWN_ACCOUNT = (
    "an account that no other stage and no registry uses, because anyone who can push a branch controls it: the"
    " workflow file and the templates of a pull request are its own"
)
"""What PREVIEW needs, for messages."""
DIGEST_PARAMETER = "ImageDigest"
"""CloudFormation parameter of the service stack: the digest of the image."""
PROTECTION_PARAMETER = "DeletionProtection"
"""CloudFormation parameter of `protected_stacks`: "true" or, until a release has verified the stage, "false"."""
DNS_OUTPUT = "DnsRecord"
"""Output of the service stack: the DNS record to create, if the stage's domain has no zone in Route 53."""
COPY = "confirm"
"""Stage that `make confirm` deploys and deletes: a copy of another one."""
COPY_VARIABLE = "CONFIRM_ENV"
"""Environment variable with the name of the stage that COPY is a copy of; by default, the first stage."""
_BUCKET_NAME_LENGTH = 63
_LONGEST_REGION = "ap-southeast-1"
_GLOBAL_REGION = "us-east-1"
"""AWS: region of CloudFront's certificates and of the metrics of Route 53."""
_PRIVATE_BLOCKS = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Other addresses would be unreachable on the internet."""
_PREFIX_LENGTHS = range(16, 22)
"""AWS: at most a /16. Six subnets need a /21."""
_MIN_ZONES = 2
"""AWS: of a load balancer."""
_PERMISSIONS = 36
"""Of each service. AWS: the tag of the access stack with their hashes has at most 256 characters."""

PLAYGROUND = Stage(
    name="playground",
    account="000000000000",
    github=Repository(name=f"example/{PROJECT}", owner_id=1001, repository_id=2002),
    architecture=Architecture.of_this_machine(),
    max_tasks=6,
    log_days=1,
)
"""AWS emulated on this machine. It has a repository so that its tests can assume GitHub's roles."""


def _bound(stage: Stage) -> Stage:
    return replace(stage, project=PROJECT, github=stage.github or _stages.GITHUB)


STAGES: dict[str, Stage] = {stage.name: _bound(stage) for stage in (*_stages.STAGES, PLAYGROUND)}
PREVIEW = _bound(_stages.PREVIEW)
"""Template of the stages pr-N, one for each pull request, if it has an account."""
DEFAULT_STAGE = next(iter(STAGES))
"""Stage of `cdk` commands without `-c stage=NAME`: the first one."""
STAGE_NAMES = f"{', '.join(STAGES)} or pr-N"
REPOSITORY, PREVIEW_REPOSITORY = STAGES[DEFAULT_STAGE].image_repository, PREVIEW.image_repository
"""ECR repositories: one that all stages share, except previews."""


def own_resources() -> OwnResources | None:
    """Import the workload's own constructs; None if it has no resources.py. Slow, because that imports aws_cdk."""
    name = f"{_PACKAGE}.resources"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


def stage_named(name: str) -> Stage:
    """Return a stage by its name; raise StageError for an unknown name or an invalid field."""
    if re.fullmatch(r"pr-[1-9][0-9]{0,5}", name):
        stage = replace(PREVIEW, name=name)
        if not PREVIEW.account:
            raise StageError(f"previews are off: set account of PREVIEW in infra/stages.py to {OWN_ACCOUNT}")
    elif name in STAGES:
        stage = STAGES[name]
    elif name == COPY:
        stage = _copy()
    else:
        near = difflib.get_close_matches(name, STAGES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise StageError(f"unknown stage {name!r}: use {STAGE_NAMES} for pull request N{hint}")
    if problem := next(_problems_of_workload(), None):
        raise ConfigurationError(f"WORKLOAD in infra/workload.py: {problem}")
    if problem := next(_problems(stage), None):
        raise StageError(f"stage {stage.name} in infra/stages.py: {problem}")
    if problem := next(_problems_of_previews(), None):
        raise StageError(f"PREVIEW in infra/stages.py: {problem}")
    first: dict[str | None, Stage] = {}
    for other in all_stages():  # stages with a registry share images, which have one architecture
        shared = first.setdefault(other.registry, other)
        if other.architecture is not shared.architecture:
            raise StageError(
                f"stage {other.name} in infra/stages.py: architecture is {other.architecture.name}, but it runs the"
                f" images of {shared.name}, which are {shared.architecture.name}"
            )
    return stage


def _copy() -> Stage:
    """Return the stage COPY: unprotected, with a web ACL, and with two tasks or more, so that one can be replaced.

    It has no domain, because that is taken, and no settings: some need HTTPS, and others would notify people.
    """
    original = os.environ.get(COPY_VARIABLE) or DEFAULT_STAGE
    if not (stage := STAGES.get(original)):
        raise StageError(f"{COPY_VARIABLE} is {original!r}; it must be one of {', '.join(STAGES)}")
    return replace(
        stage,
        name=COPY,
        copy_of=original,
        protect=False,
        promotes_from=None,
        registry_account=None,
        domain=None,
        settings=(),
        web_acl=True,
        min_tasks=max(2, stage.min_tasks),
        max_tasks=max(2, stage.max_tasks),
    )


def all_stages() -> list[Stage]:
    """Return all stages, with PREVIEW if previews are on."""
    return [*STAGES.values(), *([PREVIEW] if PREVIEW.account else [])]


def protected_stacks(stage: Stage) -> list[str]:
    """Return the stacks of a stage with resources whose deletion protection follows from PROTECTION_PARAMETER."""
    has_tables = any(owned.service is Service.DYNAMODB for owned in WORKLOAD.owns)
    stacks = [*([stage.foundation_stack] if has_tables else []), stage.service_stack]
    return stacks if stage.protect else []


def stages_in_account_of(stage: Stage) -> list[Stage]:
    """Return the stages in the account of `stage` according to infra/stages.py. PREVIEW represents all previews.

    Stages with `account=None` count as one account, that of the credentials, even if they are deployed with the
    credentials of different accounts. The playground includes every stage, so that each role can be tested.
    """
    stages = [other for other in all_stages() if not other.is_playground]
    return stages if stage.is_playground else [other for other in stages if other.account == stage.account]


def stages_in_registry_of(stage: Stage) -> list[Stage]:
    """Return the stages whose images are in the same registry as those of `stage`, protected ones first.

    As above, `account=None` counts as one account, and the playground includes every stage.
    """
    stages = sorted(all_stages(), key=lambda other: not other.protect)
    return [other for other in stages if stage.is_playground or other.registry == stage.registry]


def _problems_of_previews() -> Iterator[str]:
    """Yield accounts that previews share with anything else."""
    for stage in STAGES.values():
        if PREVIEW.account and PREVIEW.account in {stage.account, stage.registry_account} and not stage.is_playground:
            yield f"account is {PREVIEW.account}, that of {stage.name} or of its images; it must be {OWN_ACCOUNT}"
    if PREVIEW.registry_account not in {None, PREVIEW.account}:
        yield f"registry_account is {PREVIEW.registry_account}; remove it, because previews share no registry"


def _problems(stage: Stage) -> Iterator[str]:
    """Yield the fields that AWS would reject during the deployment, each with what it must be."""
    yield from _problems_of_names(stage)
    yield from _problems_of_numbers(stage)
    if stage.egress is Egress.ENDPOINTS and not stage.vpc:
        for owned in WORKLOAD.owns:
            if owned.service not in {Service.DYNAMODB, Service.S3}:
                yield f"egress is ENDPOINTS, which has no route to {owned.service.value}; use Egress.PUBLIC_IP or NAT"
    if stage.outside_check and stage.region != _GLOBAL_REGION:
        yield f"outside_check requires region={_GLOBAL_REGION!r}: AWS has the metrics of such checks only there"
    if stage.domain:
        yield from _problems_of_domain(stage, stage.domain)
    yield from _problems_of_network(stage)
    yield from _problems_of_settings(stage)


def _problems_of_numbers(stage: Stage) -> Iterator[str]:
    if not 1 <= stage.min_tasks <= stage.max_tasks:
        yield f"min_tasks is {stage.min_tasks}; it must be from 1 to max_tasks, {stage.max_tasks}"
    for name in ("max_reads", "max_writes"):
        if getattr(stage, name) < 1:
            yield f"{name} is {getattr(stage, name)}; it must be 1 or more"
    if stage.cpu_seconds not in (20, 60):
        yield f"cpu_seconds is {stage.cpu_seconds}; ECS supports 20 and 60"
    if stage.log_days not in LOG_DAYS:
        yield f"log_days is {stage.log_days}; it must be one of {', '.join(map(str, LOG_DAYS))}"
    if stage.spot_share not in range(101):
        yield f"spot_share is {stage.spot_share}; it must be from 0 to 100 percent"


def _problems_of_domain(stage: Stage, domain: Domain) -> Iterator[str]:
    region = _GLOBAL_REGION if stage.behind_cloudfront else stage.region
    form = rf"arn:aws[a-z-]*:acm:{region or '[^:]+'}:[0-9]{{12}}:certificate/.+"
    if bool(domain.hosted_zone_id) != bool(domain.zone_name):
        yield "domain has only one of hosted_zone_id and zone_name; set both or, if the DNS is elsewhere, neither"
    if domain.zone_name and not f".{domain.name}".endswith(f".{domain.zone_name}"):
        yield f"domain has the name {domain.name}, which is not in its zone_name, {domain.zone_name}"
    if not domain.certificate_arn:
        if stage.behind_cloudfront:
            yield f"domain requires certificate_arn with Entrance.CLOUDFRONT: a certificate in {_GLOBAL_REGION}"
        elif not domain.hosted_zone_id:
            yield "domain requires certificate_arn, or hosted_zone_id and zone_name to create the certificate"
    elif not re.fullmatch(form, domain.certificate_arn):
        where = region or "the region of the stage"
        yield f"domain has the certificate_arn {domain.certificate_arn!r}; it must be that of a certificate in {where}"


def _problems_of_network(stage: Stage) -> Iterator[str]:
    try:
        block = ipaddress.IPv4Network(stage.cidr)
    except ValueError:
        block = None
    sized = block and block.prefixlen in _PREFIX_LENGTHS
    if not block or not sized or not any(block.subnet_of(each) for each in _PRIVATE_BLOCKS):
        private = ", ".join(map(str, _PRIVATE_BLOCKS))
        yield f"cidr is {stage.cidr!r}; it must be a block from /16 to /21 in {private}, such as 10.1.0.0/16"
    if not (vpc := stage.vpc):
        return
    if stage.cidr != Stage.cidr:
        yield "cidr has no effect with vpc, an existing VPC; remove it"
    if stage.flow_logs:
        yield "flow_logs must be False with vpc; those of an existing VPC belong to its owner"
    for name, ids, form in (
        ("vpc_id", (vpc.vpc_id,), "vpc-[0-9a-f]+"),
        ("zones", vpc.zones, rf"{stage.region or '[a-z]+(-[a-z]+)+-[0-9]+'}[a-z]"),
        ("load_balancer_subnets", vpc.load_balancer_subnets, "subnet-[0-9a-f]+"),
        ("task_subnets", vpc.task_subnets, "subnet-[0-9a-f]+"),
    ):
        if wrong := [each for each in ids if not re.fullmatch(form, each)]:
            yield f"vpc has {wrong[0]!r} in {name}; it must match {form}"
        if len(set(ids)) < len(ids) or (name != "vpc_id" and len(ids) != max(len(vpc.zones), _MIN_ZONES)):
            yield f"vpc has {len(set(ids))} {name}; it needs two zones or more, and in each a subnet of both kinds"


def _problems_of_names(stage: Stage) -> Iterator[str]:
    if not re.fullmatch(r"pr-\d+|(?!pr-)[a-z]([a-z0-9-]{0,18}[a-z0-9])?", stage.name):  # it is part of a bucket's name
        yield "name must have at most 20 of a-z, 0-9 and hyphens, and not begin with pr-"
    if [other.name for other in (*_stages.STAGES, PLAYGROUND)].count(stage.name) > 1:
        yield "name is that of another stage, too"
    if stage.name == COPY and not stage.copy_of:
        yield f"name is {COPY}, that of the copy that `make confirm` deploys and deletes; choose another one"
    for other in (*STAGES, COPY):
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
    prefix = WORKLOAD.settings_prefix
    secret = {each.variable for each in WORKLOAD.secrets}
    for name, _ in stage.settings:
        if (
            not re.fullmatch(rf"{prefix}[A-Z][A-Z0-9_]*", name)
            or name in secret
            or re.search("TOKEN|SECRET|PASSWORD", name)
        ):
            yield f"settings has {name}; only {prefix or 'upper-case'} variables without secrets are allowed"
    yield from WORKLOAD.problems(stage)


def _problems_of_workload() -> Iterator[str]:
    """Yield the fields of the workload that AWS or CDK would reject, each with what it must be."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", WORKLOAD.name):
        yield f"name is {WORKLOAD.name!r}; it must consist of a-z, 0-9 and single hyphens, and begin with a letter"
    longest = max((*STAGES.values(), replace(PREVIEW, name="pr-999999")), key=lambda stage: len(stage.name))
    for bucket in longest.buckets(WORKLOAD, account="0" * 12, region=_LONGEST_REGION):
        if len(bucket) > _BUCKET_NAME_LENGTH:
            yield f"name is too long: S3 allows {_BUCKET_NAME_LENGTH} characters, but a bucket would be named {bucket}"
    for name in ("health_path", "probe_path", "post_path"):
        if (path := getattr(WORKLOAD, name)) and not path.startswith("/"):
            yield f"{name} is {path!r}; it must begin with /"
    for test in WORKLOAD.smoke_tests:
        if not test.path.startswith("/"):
            yield f"smoke_tests has the path {test.path!r}; it must begin with /"
    if not 0 < WORKLOAD.port < 65536:  # noqa: PLR2004  # range of TCP ports
        yield f"port is {WORKLOAD.port}; it must be from 1 to 65535"
    yield from _problems_of_owns(WORKLOAD.owns)


def _problems_of_owns(owns: tuple[Owned, ...]) -> Iterator[str]:
    for service in Service:
        if sum(2 + len(owned.actions) for owned in owns if owned.service is service) > _PERMISSIONS:
            yield f"owns has too many resources and actions of {service.value}: together, at most {_PERMISSIONS}"
    names = [owned.name for owned in owns]
    for owned in owns:
        where = f"owns has a resource of {owned.service.value}"
        if names.count(owned.name) > 1:
            yield f"{where} named {owned.name!r}, like another one; names must be unique"
        form = r"[a-z0-9.@_+-]+" if owned.service is Service.SES else r"([a-z][a-z0-9]*(-[a-z0-9]+)*)?"
        if not re.fullmatch(form, owned.name):
            yield f"{where} named {owned.name!r}; the name must match {form}"
        if owned.service is Service.S3 and owned.name in {"", "logs"}:
            yield f"{where} named {owned.name!r}; that of a bucket must be another one than logs"
        for action in owned.actions:
            if not re.fullmatch(rf"{owned.service.value}:[A-Za-z]+", action):
                yield f"{where} with the action {action}; expected {owned.service.value}:NAME without wildcards"


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
    for other in all_stages():
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
