"""Check stages and workload, then run cdk-nag and cfn-lint over the templates: `python -m infra.checks`.

Also checks that the jobs of the workflow deploy.yml match the stages, and that protected stages keep and back up their
data.
"""

import importlib.resources
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import boto3
import cdk_nag
import yaml

from infra.app import app_of
from infra.config import DEFAULT_STAGE, PROJECT, STAGES, WORKLOAD, stage_named
from infra.constructs.budget import REGIONS_WITHOUT
from infra.model import Architecture, ConfigurationError, Domain, Egress, Entrance, Repository, Stage, Vpc

ROOT = Path(__file__).resolve().parent.parent
DEPLOY_WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"
DOMAIN = Domain(name=f"{PROJECT}.example.com", hosted_zone_id="Z0123456789EXAMPLE", zone_name="example.com")
CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/01234567-89ab-cdef-0123-456789abcdef"
VPC = Vpc(
    vpc_id="vpc-0123456789abcdef0",
    zones=("us-east-1a", "us-east-1b"),
    load_balancer_subnets=("subnet-0123456789abcdef0", "subnet-0123456789abcdef1"),
    task_subnets=("subnet-0123456789abcdef2", "subnet-0123456789abcdef3"),
)
EMAIL = "ops@example.com"
GITHUB = Repository(name=f"example/{PROJECT}", owner_id=1001, repository_id=2002)
_FIRST = STAGES[DEFAULT_STAGE]
_PRODUCTION = next((stage for stage in STAGES.values() if stage.protect), _FIRST)
CHECKED: dict[str, Stage] = {
    name: replace(stage, github=GITHUB)
    for name, stage in {
        **STAGES,
        # Options that no stage uses currently.
        f"{_PRODUCTION.name} with TLS and endpoints": replace(
            _PRODUCTION,
            entrance=Entrance.LOAD_BALANCER,
            domain=DOMAIN,
            egress=Egress.ENDPOINTS,
            alarm_email=EMAIL,
            region="us-east-1",
            vpc=None,
        ),
        f"{_PRODUCTION.name} behind CloudFront": replace(_PRODUCTION, domain=None, entrance=Entrance.CLOUDFRONT),
        f"{_PRODUCTION.name} behind CloudFront with endpoints": replace(
            _PRODUCTION, domain=None, entrance=Entrance.CLOUDFRONT, egress=Egress.ENDPOINTS
        ),
        f"{_PRODUCTION.name} behind CloudFront with a domain": replace(
            _PRODUCTION,
            entrance=Entrance.CLOUDFRONT,
            domain=replace(DOMAIN, certificate_arn=CERTIFICATE),
            cidr="172.20.0.0/21",
            vpc=None,
        ),
        f"{_PRODUCTION.name} in an existing VPC": replace(
            _PRODUCTION,
            entrance=Entrance.LOAD_BALANCER,
            domain=Domain(name=DOMAIN.name, certificate_arn=CERTIFICATE),
            egress=Egress.NAT,
            cidr=Stage.cidr,
            vpc=VPC,
            flow_logs=False,
        ),
        f"{_FIRST.name} with NAT and ARM": replace(
            _FIRST,
            egress=Egress.NAT,
            architecture=Architecture.ARM64,
            alarm_email=EMAIL,
            route_metrics=False,
            region="eu-north-1",  # one without AWS::Budgets::Budget
        ),
    }.items()
}
_CFN_LINT = Path(str(importlib.resources.files("cfnlint"))) / "data"
COMMERCIAL = boto3.Session(region_name="us-east-1").get_available_regions("ecs")
REGIONS = frozenset(region for region in COMMERCIAL if (_CFN_LINT / f"schemas/providers/{region}.json").exists())
"""Commercial regions that cfn-lint knows."""
STATEFUL = frozenset(
    {
        *json.loads((_CFN_LINT / "AdditionalSpecs/StatefulResources.json").read_text())["ResourceTypes"],
        *("AWS::Cassandra::Table", "AWS::ECR::Repository", "AWS::MemoryDB::Cluster", "AWS::SES::EmailIdentity"),
        *("AWS::S3Express::DirectoryBucket", "AWS::Timestream::Table"),
    }
) - {"AWS::CloudFormation::Stack"}
"""Types of resources with data: those that cfn-lint knows, and others."""
_KEPT = ("Retain", "Snapshot")
"""Deletion policies that keep the data."""


def _recoverable(table: Mapping[str, Any]) -> bool:
    return all(
        each.get("PointInTimeRecoverySpecification", {}).get("PointInTimeRecoveryEnabled") is True
        for each in table.get("Replicas", [table])
    )


def _days(field: str, default: int) -> tuple[str, Callable[[Mapping[str, Any]], bool]]:
    return f"set {field} to a number of days", lambda properties: int(properties.get(field, default)) > 0


_BACKUPS: dict[str, tuple[str, Callable[[Mapping[str, Any]], bool]]] = {
    **dict.fromkeys(
        ("AWS::DynamoDB::GlobalTable", "AWS::DynamoDB::Table"), ("enable point-in-time recovery", _recoverable)
    ),
    **dict.fromkeys(
        ("AWS::RDS::DBCluster", "AWS::RDS::DBInstance", "AWS::DocDB::DBCluster", "AWS::Neptune::DBCluster"),
        _days("BackupRetentionPeriod", 1),
    ),
    "AWS::ElastiCache::ReplicationGroup": _days("SnapshotRetentionLimit", 0),
    "AWS::Redshift::Cluster": _days("AutomatedSnapshotRetentionPeriod", 1),
    "AWS::EFS::FileSystem": (
        "enable automatic backups",
        lambda properties: properties.get("BackupPolicy", {}).get("Status") == "ENABLED",
    ),
}
"""Types that AWS can back up by a property: what to set, and whether it is set."""
_GRANTS_ACCESS = re.compile(r".*:(Add|Remove|Put|Delete|Create|Update).*(Policy|Permission|Acl)")
"""Actions that let others use a resource."""
_POLICY_CHARACTERS = 6144
"""AWS: of a managed policy, without white space."""


def configuration_problems() -> Iterator[str]:
    """Yield fields of the stages and the workload that don't fit each other, the Dockerfile or the workflows."""
    for name in STAGES:
        try:
            stage_named(name)
        except ConfigurationError as error:
            yield str(error)
    context = ROOT / WORKLOAD.context
    for file in WORKLOAD.image_files:
        if not (context / file).exists():
            yield f"WORKLOAD in infra/workload.py: image_files has {file}, which is not in {WORKLOAD.context}"
    dockerfile = context / "Dockerfile"
    exposed = re.findall(r"^EXPOSE (\d+)", dockerfile.read_text(), re.MULTILINE) if dockerfile.exists() else []
    if exposed != [str(WORKLOAD.port)]:
        yield (
            f"WORKLOAD in infra/workload.py: port is {WORKLOAD.port}, but {WORKLOAD.context}/Dockerfile exposes"
            f" {', '.join(exposed) or 'none'}: write EXPOSE {WORKLOAD.port}, or change port"
        )
    for owned in WORKLOAD.owns:
        for action in filter(_GRANTS_ACCESS.match, owned.actions):
            yield f"WORKLOAD in infra/workload.py: owns allows {action}, which would let tasks give others access"


def policy_problems(template: Mapping[str, Any]) -> Iterator[str]:
    """Yield managed policies of the access stack that are too long."""
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            properties = resource["Properties"]
            length = len(json.dumps(properties["PolicyDocument"], separators=(",", ":")))
            if length > _POLICY_CHARACTERS:
                yield (
                    f"WORKLOAD in infra/workload.py: owns is too long: the policy {properties['ManagedPolicyName']} has"
                    f" {length} characters, AWS allows {_POLICY_CHARACTERS}"
                )


def construct_findings(stage: Stage, folder: Path) -> list[str]:
    """Write the templates of a stage to the folder, and return the findings of cdk-nag and of CDK's own validation."""
    app = app_of(stage, outdir=str(folder))
    cdk.Annotations.of(app).acknowledge_warning(f"{PROJECT}:no-budget", "a stage may be in a region without budgets")
    cdk.Validations.of(app).add_plugins(cdk_nag.AwsSolutionsChecks(app))  # not in app.py: it takes half a second
    try:
        app.synth()
    except RuntimeError as error:  # jsii's only exception; the report has the details
        if "ValidationFailed" not in str(error):
            raise
    report = json.loads((folder / "validation-report.json").read_text())
    return [
        f"{violation['ruleName']} {construct['constructPath']}: {violation['description']}"
        for plugin in report["pluginReports"]
        for violation in plugin["violations"]
        for construct in violation["violatingConstructs"]
    ]


def data_problems(stage_name: str, template: Mapping[str, Any]) -> Iterator[str]:
    """Yield the resources with data that a protected stage could lose, or could not restore."""
    for name, resource in template["Resources"].items():
        kind, properties = resource["Type"], resource.get("Properties", {})
        where = f"stage {stage_name}: {name} ({kind})"
        if kind in STATEFUL and not all(
            str(resource.get(policy)).startswith(_KEPT) for policy in ("DeletionPolicy", "UpdateReplacePolicy")
        ):
            yield f"{where} would be deleted with its data: pass it the removal_policy that add_data_resources gets"
        if kind in _BACKUPS:
            setting, is_backed_up = _BACKUPS[kind]
            if not is_backed_up(properties):
                yield f"{where} has no backups: {setting}"


def lint_findings(templates: Iterable[Path]) -> list[str]:
    """Return cfn-lint's findings in the templates, for every region that they are deployed to.

    All regions take little longer than one: most resource types have the same schema in each.
    """
    groups: dict[bool, list[Path]] = {True: [], False: []}
    for template in templates:
        groups['"AWS::Budgets::Budget"' in template.read_text()].append(template)
    regions = {True: REGIONS - REGIONS_WITHOUT, False: REGIONS}
    return [line for has_budget, group in groups.items() if group for line in _lint(group, regions[has_budget])]


def _lint(templates: Iterable[Path], regions: Iterable[str]) -> list[str]:
    command = [str(Path(sys.executable).with_name("cfn-lint")), "--format", "json", "--regions", *sorted(regions)]
    # W3005: a dependency on a construct includes resources that the template refers to anyway.
    command += ["--ignore-checks", "W3005", "-t", *map(str, templates)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode and not ran.stdout.strip():
        sys.exit(f"error: cfn-lint failed: {ran.stderr.strip()}")
    return [
        f"{match['Rule']['Id']} {Path(match['Filename']).name} {'/'.join(map(str, match['Location']['Path'] or []))}:"
        f" {match['Message']}"
        for match in json.loads(ran.stdout or "[]")
    ]


def workflow_problems(workflow: Mapping[str, Any]) -> Iterator[str]:
    """Yield stages without a job in deploy.yml, and jobs that release no stage or not the image that it takes."""
    names = [name for name, stage in STAGES.items() if not stage.is_playground]
    for name in names:
        if name not in workflow["jobs"]:
            yield f"stage {name} has no job in deploy.yml: add one, as docs/deployment.md describes"
    for job, found in workflow["jobs"].items():
        if not str(found.get("uses", "")).endswith("/release.yml"):
            continue
        if job not in STAGES:
            yield f"job {job} of deploy.yml must be named after a stage of infra/stages.py: {', '.join(names)}"
            continue
        before, inputs = STAGES[job].promotes_from, {"stage": job}
        if before:
            inputs["tag"] = f"${{{{ needs.{before}.outputs.tag }}}}"
        if (before and before not in (found.get("needs") or ())) or found.get("with") != inputs:
            needs = f"`needs: {before}`, " if before else ""
            wanted = f"{needs}`with: {json.dumps(inputs)}`"
            yield f"job {job} of deploy.yml needs {wanted}, because promotes_from is {before}"


def main() -> None:
    problems = list(configuration_problems())
    problems += workflow_problems(yaml.safe_load(DEPLOY_WORKFLOW.read_text())) if DEPLOY_WORKFLOW.exists() else ()
    if problems:
        sys.exit("\n".join(f"error: {problem}" for problem in dict.fromkeys(problems)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        nag = [
            f"{stage_name}: {finding}"
            for index, (stage_name, stage) in enumerate(CHECKED.items())
            for finding in construct_findings(stage, folder / str(index))
        ]
        # Stages in an account have some templates in common.
        templates = sorted({path.read_text(): path for path in folder.glob("*/*.template.json")}.values())
        lint = lint_findings(templates)
        wrong = {
            problem
            for path in folder.glob("*/*Access.template.json")
            for problem in policy_problems(json.loads(path.read_text()))
        }
        for index, (stage_name, stage) in enumerate(CHECKED.items()):
            if stage_name in STAGES and stage.protect:
                for path in folder.glob(f"{index}/*.template.json"):
                    wrong.update(data_problems(stage_name, json.loads(path.read_text())))
    print(f"cdk-nag: {len(CHECKED)} stages: {', '.join(CHECKED)}: {len(nag)} findings", *nag, sep="\n  ")
    print(f"cfn-lint: {len(templates)} templates in {len(REGIONS)} regions: {len(lint)} findings", *lint, sep="\n  ")
    print(*(f"error: {problem}\n" for problem in sorted(wrong)), sep="", end="")
    sys.exit(bool(nag or lint or wrong))


if __name__ == "__main__":
    try:
        main()
    except ConfigurationError as error:  # of infra/resources.py, which only synthesis reads
        sys.exit(f"error: {error}")
