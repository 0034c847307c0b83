"""Validation of infra/stages.py and infra/workload.py: fields that AWS or CDK would reject, with what they must be."""

import ast
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence

from infra.model import LOG_DAYS, Domain, Egress, Owned, Service, Stage, Workload

_BUCKET_NAME_LENGTH = 63
_LONGEST_REGION = "ap-southeast-1"
_GLOBAL_REGION = "us-east-1"
"""AWS: region of CloudFront's certificates."""
_PRIVATE_BLOCKS = tuple(map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))
"""Other addresses would be unreachable on the internet."""
_PREFIX_LENGTHS = range(16, 22)
"""AWS: at most a /16. Six subnets need a /21."""
_MIN_ZONES = 2
"""AWS: of a load balancer."""
_PERMISSIONS = 36
"""Of each service. AWS: the tag of the access stack with their hashes has at most 256 characters."""

_OWN_STACK = "keep the resource in a stack of your own, and its name in `environment`"
_IN_BILL = "remove it, and change the assumption in infra/cost/bill.py if it matters to you"
REMOVED = {
    "Stage.outside_check": "remove it; docs/operations.md says which services of AWS do that",
    "Stage.container_insights": "remove it; alarms and dashboard use ECS's own metrics",
    "Stage.spot_share": "remove it; all tasks run on demand",
    "Stage.cpu_target": "remove it; CPU_TARGET in infra/constructs/fargate_service.py is the target",
    "Service.S3": _OWN_STACK,
    "Service.SQS": _OWN_STACK,
    "Service.SNS": _OWN_STACK,
    "Owned.variable": "return the name of the resource from `environment` of the workload",
    "Traffic.log_kb": _IN_BILL,
    "Traffic.metrics_kb": _IN_BILL,
    "Traffic.connections": _IN_BILL,
}
"""Names of infra/model.py and infra/stages.py that 1.0.0 had, and what to do instead."""


def problems_of_names(source: str, file: str) -> Iterator[str]:
    """Yield the removed names that a file of the adopter uses, each with its line."""
    for node in ast.walk(ast.parse(source, file)):
        for line, owner, name in _names(node):
            # Fields are also arguments of `replace`, and attributes of the argument of a function.
            used = next((each for each in (name, f"{owner}.{name}", f"Stage.{name}") if each in REMOVED), None)
            if used and (used != f"Stage.{name}" or not owner.istitle() or owner == "Stage"):
                yield f"line {line}: {name} was removed in 1.1.0: {REMOVED[used]}"


def _names(node: ast.AST) -> Iterator[tuple[int, str, str]]:
    """Yield the line, the class or variable, and the name of each use of a name in a node."""
    match node:
        case ast.Call(func=ast.Name(id=owner), keywords=keywords):
            yield from ((each.lineno, owner, each.arg) for each in keywords if each.arg)
        case ast.Attribute(value=ast.Name(id=owner), attr=name, lineno=line):
            yield line, owner, name
        case ast.Name(id=name, lineno=line) | ast.alias(name=name, lineno=line):
            yield line, "", name


def problems_of_stage(stage: Stage, *, workload: Workload, stages: Sequence[Stage], copy: str) -> Iterator[str]:
    """Yield the fields of a stage. `stages` are all stages, and `copy` is the name of a copy of one."""
    yield from _problems_of_names(stage, [each.name for each in stages], copy)
    yield from _problems_of_accounts(stage, next((each for each in stages if each.name == stage.promotes_from), None))
    yield from _problems_of_numbers(stage)
    if stage.egress is Egress.ENDPOINTS and not stage.vpc:
        for owned in workload.owns:
            if owned.service is not Service.DYNAMODB:
                yield f"egress is ENDPOINTS, which has no route to {owned.service.value}; use Egress.PUBLIC_IP or NAT"
    if stage.domain:
        yield from _problems_of_domain(stage, stage.domain)
    yield from _problems_of_network(stage)
    yield from _problems_of_settings(stage, workload)


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


def _problems_of_domain(stage: Stage, domain: Domain) -> Iterator[str]:
    region = _GLOBAL_REGION if stage.behind_cloudfront else stage.region
    form = rf"arn:aws[a-z-]*:acm:{region or '[^:]+'}:{stage.account or '[0-9]{12}'}:certificate/.+"
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
        where = f"{region or 'the region'} and {stage.account or 'the account'} of the stage"
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
    shared = {*vpc.load_balancer_subnets} & {*vpc.task_subnets}
    if shared and stage.egress is (Egress.PUBLIC_IP if stage.behind_cloudfront else Egress.NAT):
        yield f"vpc has {min(shared)} as both kinds of subnets, one of which must be public with this egress"


def _problems_of_names(stage: Stage, names: Sequence[str], copy: str) -> Iterator[str]:
    if not re.fullmatch(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?", stage.name):  # it is part of a bucket's name
        yield "name must have at most 20 of a-z, 0-9 and hyphens, and begin with a letter"
    if names.count(stage.name) > 1:
        yield "name is that of another stage, too"
    if stage.name == copy and not stage.copy_of:
        yield f"name is {copy}, that of the copy that `make confirm` deploys and deletes; choose another one"
    for other in (*names, copy):
        if stage.name.startswith(f"{other}-"):  # tags of images begin with it
            yield f"name must not begin with {other}-, which marks the images of {other}"
    if stage.promotes_from and stage.promotes_from not in {*names} - {stage.name}:
        yield f"promotes_from is {stage.promotes_from!r}; it must name another stage"
    if stage.github and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}", stage.github.name):
        yield f"github has the name {stage.github.name!r}; it must be owner/name"


def _problems_of_accounts(stage: Stage, source: Stage | None) -> Iterator[str]:
    for name in ("account", "registry_account"):
        account = getattr(stage, name)
        if account is not None and not (isinstance(account, str) and re.fullmatch(r"\d{12}", account)):
            yield f"{name} is {account!r}; it must be 12 digits in quotes"
    if stage.registry_account and not stage.account:
        yield "registry_account needs account: the registry only lets named accounts pull images"
    if source and source.registry != stage.registry and source.registry and stage.registry:
        yield f"registry_account must be {source.registry}, the account with the images of {source.name}"


def _problems_of_settings(stage: Stage, workload: Workload) -> Iterator[str]:
    prefix = workload.settings_prefix
    secret = {each.variable for each in workload.secrets}
    for name, _ in stage.settings:
        if (
            not re.fullmatch(rf"{prefix}[A-Z][A-Z0-9_]*", name)
            or name in secret
            or re.search("TOKEN|SECRET|PASSWORD", name)
        ):
            yield f"settings has {name}; only {prefix or 'upper-case'} variables without secrets are allowed"
    yield from workload.problems(stage)


def problems_of_workload(workload: Workload, stages: Iterable[Stage]) -> Iterator[str]:
    """Yield the fields of the workload, some of which are only too long for a stage with a long name."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", workload.name):
        yield f"name is {workload.name!r}; it must consist of a-z, 0-9 and single hyphens, and begin with a letter"
    longest = max(stages, key=lambda stage: len(stage.name))
    bucket = longest.log_bucket(account="0" * 12, region=_LONGEST_REGION)
    if len(bucket) > _BUCKET_NAME_LENGTH:
        yield f"name is too long: S3 allows {_BUCKET_NAME_LENGTH} characters, but a bucket would be named {bucket}"
    for name in ("health_path", "probe_path", "post_path"):
        if (path := getattr(workload, name)) and not path.startswith("/"):
            yield f"{name} is {path!r}; it must begin with /"
    for test in workload.smoke_tests:
        if not test.path.startswith("/"):
            yield f"smoke_tests has the path {test.path!r}; it must begin with /"
    # AWS: the ARN without its suffix, which the task definition has, would look complete.
    for name in filter(re.compile(r"-\w{6}$").search, (secret.name for secret in workload.secrets)):
        yield f"secrets has the name {name!r}; it must not end with a hyphen and six characters"
    if not 0 < workload.port < 65536:  # noqa: PLR2004  # range of TCP ports
        yield f"port is {workload.port}; it must be from 1 to 65535"
    yield from _problems_of_owns(workload.owns)


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
        for action in owned.actions:
            if not re.fullmatch(rf"{owned.service.value}:[A-Za-z]+", action):
                yield f"{where} with the action {action}; expected {owned.service.value}:NAME without wildcards"
