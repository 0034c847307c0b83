import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra import config
from infra.config import STAGES, Target, stage_named, stages_in_account_of, target_of
from infra.model import (
    NOBODY,
    Architecture,
    ConfigurationError,
    Domain,
    Egress,
    Entrance,
    Owned,
    Repository,
    Service,
    SmokeTest,
    Stage,
    StageError,
    TargetError,
)
from infra.permissions import workflow_roles
from infra.validation import REMOVED, problems_of_names
from tests.infra.synthesis import CERTIFICATE, DOMAIN, EMAIL, ROOT, VPC
from tests.reference.workload import KEY, TABLE, WORKLOAD

DEV = STAGES["dev"]
ONE, TWO, THREE = "111111111111", "222222222222", "333333333333"
FIXED = dataclasses.replace(DEV, account=ONE, region="sa-east-1")


@pytest.mark.parametrize(
    ("name", "message"),
    [("prd", "did you mean prod?"), ("Dev", "did you mean dev?"), ("playgroud", "did you mean playground?")]
    + [(name, "") for name in ("", "dev ", "pr-7")],
)
def test_a_misspelled_stage_is_an_error_that_names_the_nearest(name: str, message: str) -> None:
    with pytest.raises(StageError, match="one of dev, prod, playground.*" + re.escape(message)) as raised:
        stage_named(name)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"min_tasks": 5, "max_tasks": 4}, "stage dev in infra/stages.py: min_tasks is 5"),
        ({"name": "My_Stage"}, "stage My_Stage in infra/stages.py: name must have"),
        ({"name": "confirm"}, "name is confirm, that of the copy that `make confirm` deploys"),
        ({"name": "confirm-eu"}, "must not begin with confirm-"),
        ({"name": "prod-eu"}, "must not begin with prod-, which marks the images of prod"),
        ({"cpu_seconds": 30}, "cpu_seconds is 30; ECS supports 20 and 60"),
        ({"log_days": 31}, "log_days is 31; it must be one of 1, 3, 5, 7"),
        ({"max_writes": 0}, "max_writes is 0; it must be 1 or more"),
        ({"settings": (("NOTES_KEY", "nobody-guesses-this"),)}, "without secrets"),
        ({"settings": (("NOTES_PRIVATE", "on"),)}, "NOTES_PRIVATE needs HTTPS"),
        ({"promotes_from": "stagin"}, "promotes_from is 'stagin'; it must name another stage"),
        ({"account": int(ONE)}, f"account is {ONE}; it must be 12 digits in quotes"),
        ({"registry_account": ONE}, "registry_account needs account"),
        (
            {"account": ONE, "promotes_from": "playground"},
            "registry_account must be 000000000000, the account with the images of playground",
        ),
        *(
            ({"github": Repository(name=name, owner_id=1, repository_id=2)}, "it must be owner/name")
            for name in ("notes", "a/*", "a/b/c")
        ),
        (
            {"domain": DOMAIN, "entrance": Entrance.CLOUDFRONT},
            "domain requires certificate_arn with Entrance.CLOUDFRONT",
        ),
        ({"domain": Domain(name="a.example")}, "domain requires certificate_arn, or hosted_zone_id"),
        ({"domain": dataclasses.replace(DOMAIN, zone_name=None)}, "domain has only one of hosted_zone_id"),
        ({"domain": dataclasses.replace(DOMAIN, name="www.ample.com")}, "domain has the name www.ample.com,"),
        *(
            (
                {"domain": Domain(name="a.example", certificate_arn=arn), **other},
                f"domain has the certificate_arn .* {where}",
            )
            for arn, other, where in (
                ("01234567-89ab", {}, "in the region and the account of the stage"),
                (CERTIFICATE, {"region": "eu-west-1"}, "in eu-west-1"),
                (CERTIFICATE, {"account": TWO}, f"and {TWO} of the stage"),
                (CERTIFICATE.replace("us-east-1", "eu-west-1"), {"entrance": Entrance.CLOUDFRONT}, "in us-east-1"),
            )
        ),
        *(
            ({"cidr": cidr}, f"cidr is {cidr!r}; it must be a block from /16 to /21 in 10.0.0.0/8")
            for cidr in ("10.0.0.0/8", "10.0.0.0/22", "10.0.0.1/16", "8.8.0.0/16")
        ),
        ({"vpc": VPC}, "flow_logs must be False with vpc"),
        ({"vpc": VPC, "cidr": "10.1.0.0/16"}, "cidr has no effect with vpc"),
        *(
            ({"vpc": dataclasses.replace(VPC, **other), "flow_logs": False, "region": "us-east-1"}, message)
            for other, message in (
                ({"vpc_id": "main"}, "vpc has 'main' in vpc_id; it must match vpc-"),
                ({"zones": ("us-east-1a", "eu-west-1a")}, "vpc has 'eu-west-1a' in zones; it must match us-east-1"),
                ({"zones": ("us-east-1a",)}, "vpc has 1 zones; it needs two zones or more"),
                ({"task_subnets": ("subnet-1", "main")}, "vpc has 'main' in task_subnets"),
                ({"task_subnets": ("subnet-1", "subnet-1")}, "vpc has 1 task_subnets; it needs"),
                ({"load_balancer_subnets": ("subnet-1",)}, "vpc has 1 load_balancer_subnets; it needs"),
            )
        ),
        (
            {
                "vpc": dataclasses.replace(VPC, task_subnets=VPC.load_balancer_subnets),
                "flow_logs": False,
                "egress": Egress.NAT,
            },
            "as both kinds of subnets",
        ),
        ({"architecture": Architecture.ARM64}, "stage prod .* architecture is X86_64, but it runs the images of dev"),
    ],
)
def test_a_field_that_cannot_work_is_named(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], message: str
) -> None:
    monkeypatch.setitem(STAGES, "dev", dataclasses.replace(DEV, **fields))  # type: ignore[arg-type]  # any field
    with pytest.raises(StageError, match=message) as raised:
        stage_named("dev")
    assert "nobody-guesses-this" not in str(raised.value)


def test_a_copy_touches_nothing_of_its_original(monkeypatch: pytest.MonkeyPatch) -> None:
    original = dataclasses.replace(STAGES["prod"], domain=DOMAIN, settings=(("NOTES_PRIVATE", "on"),), min_tasks=1)
    monkeypatch.setitem(STAGES, "prod", original)
    monkeypatch.setenv("CONFIRM_ENV", "prod")
    copy = stage_named("confirm")
    assert (copy.service, copy.service_stack) == ("notes-confirm", "NotesService-confirm")
    assert (copy.domain, copy.settings, copy.promotes_from) == (None, (), None)
    assert (copy.protect, copy.web_acl, copy.min_tasks) == (False, True, 2)
    assert copy.cpu_seconds == original.cpu_seconds
    monkeypatch.setenv("CONFIRM_ENV", "confirm")
    with pytest.raises(StageError, match="CONFIRM_ENV is 'confirm'; it must be one of dev, prod, playground"):
        stage_named("confirm")


def test_no_role_trusts_a_pull_request() -> None:
    for stage in STAGES.values():
        roles = workflow_roles(stages_in_account_of(stage))
        assert roles
        assert "pull_request" not in str(roles)


@pytest.mark.parametrize(
    ("workload", "message"),
    [
        ("Workload(traffic=Traffic(log_kb=1))", "/workload.py, line 2: log_kb was removed in 1.1.0: remove it, and"),
        ("Workload(named=1)", "/workload.py, line 2: .*unexpected keyword argument 'named'.*; infra/model.py explains"),
        ("Workload(name=)", r"/workload.py: .*\(workload.py, line 2\)"),
        ("Workload(name='a', description='b', image_files=('app'))", "image_files of Workload must be a tuple"),
    ],
)
def test_a_misspelled_field_is_an_error_without_a_traceback(tmp_path: Path, workload: str, message: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "workload.py").write_text(f"from infra.model import Workload\nWORKLOAD = {workload}\n")
    (tmp_path / "mine" / "stages.py").write_text("STAGES, GITHUB = (), None\n")
    paths = os.pathsep.join((str(Path(config.__file__).parent.parent), str(tmp_path)))
    variables = os.environ | {"CONFIG_PACKAGE": "mine", "PYTHONPATH": paths}
    command = [sys.executable, "-c", "import infra.config"]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert re.fullmatch(f"error: .*{message}.*\n", ran.stderr), ran.stderr


def test_previews_of_1_0_stop_with_what_to_do_instead(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "workload.py").write_text(Path(ROOT / "tests/reference/workload.py").read_text())
    stages = (ROOT / "tests/reference/stages.py").read_text() + 'PREVIEW = Stage(name="pr-N", account="444444444444")\n'
    (tmp_path / "mine" / "stages.py").write_text(stages)
    variables = os.environ | {"CONFIG_PACKAGE": "mine", "PYTHONPATH": os.pathsep.join((str(ROOT), str(tmp_path)))}
    command = [sys.executable, "-c", "import infra.config"]
    ran = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert ran.stderr.startswith("error: mine/stages.py: PREVIEW is no longer supported: delete it, and add a stage")


@pytest.mark.parametrize(
    ("source", "name"),
    [
        *((f"x = {name}", name) for name in REMOVED if name.startswith("Service.") or "." not in name),
        *((f"x = {name.replace('.', '(')}=1)", name) for name in REMOVED if "." in name and "Service" not in name),
        ("x = replace(stage, spot_share=1)", "Stage.spot_share"),
        ("def f(stage): return stage.spot_share", "Stage.spot_share"),
    ],
)
def test_a_removed_name_is_named_with_its_line_and_what_to_do_instead(source: str, name: str) -> None:
    shown = name.rpartition(".")[2]
    assert list(problems_of_names(f"\n{source}", "stages.py")) == [
        f"line 2: {shown} was removed in 1.1.0: {REMOVED[name]}"
    ]


def test_names_that_still_exist_are_no_removed_ones() -> None:
    text = "x = Secret(name='a', variable='B'); y = Service.DYNAMODB; z = Other(spot_share=1)"
    assert list(problems_of_names(text, "stages.py")) == []


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "My_App"}, "name is 'My_App'; it must consist of"),
        ({"health_path": "up"}, "health_path is 'up'; it must begin with /"),
        ({"probe_path": "up"}, "probe_path is 'up'; it must begin with /"),
        ({"smoke_tests": (SmokeTest(path="up"),)}, "smoke_tests has the path 'up'; it must begin with /"),
        ({"port": 0}, "port is 0; it must be from 1 to 65535"),
        ({"secrets": (dataclasses.replace(KEY, name="api-secret"),)}, "secrets has the name 'api-secret'; it must not"),
        ({"owns": (TABLE, TABLE)}, "owns has a resource of dynamodb named 'pages', like another one"),
        ({"owns": (dataclasses.replace(TABLE, name="My"),)}, "owns has a resource of dynamodb named 'My'"),
        ({"owns": (Owned(service=Service.DYNAMODB, actions=("dynamodb:*",)),)}, "owns .* with the action dynamodb:"),
        ({"owns": (Owned(service=Service.DYNAMODB, actions=("iam:PassRole",)),)}, "owns .* expected dynamodb:NAME"),
        ({"owns": tuple(Owned(service=Service.DYNAMODB, name=f"t{n}") for n in range(19))}, "owns has too many .* of"),
    ],
)
def test_a_field_of_the_workload_that_cannot_work_is_named(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(config, "WORKLOAD", dataclasses.replace(WORKLOAD, **fields))  # type: ignore[arg-type]  # any field
    with pytest.raises(ConfigurationError, match=f"WORKLOAD in infra/workload.py: {message}") as raised:
        stage_named("dev")
    assert "\n" not in str(raised.value)


def test_a_workload_whose_name_makes_a_name_of_a_bucket_too_long_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "a" * 20, dataclasses.replace(DEV, name="a" * 20, project="u" * 30))
    with pytest.raises(ConfigurationError, match=r"workload\.py: name is too long: S3 allows 63 characters"):
        stage_named("dev")


def test_a_resource_that_tasks_cannot_reach_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STAGES, "dev", dataclasses.replace(DEV, egress=Egress.ENDPOINTS))
    assert stage_named("dev")
    sender = Owned(service=Service.SES, name="example.com")
    monkeypatch.setattr(config, "WORKLOAD", dataclasses.replace(WORKLOAD, owns=(sender,)))
    with pytest.raises(StageError, match="egress is ENDPOINTS, which has no route to ses"):
        stage_named("dev")


def test_commands_that_synthesize_nothing_do_not_wait_for_the_cdk() -> None:
    """Importing aws_cdk takes two seconds."""
    loaded = "import sys, release.__main__; sys.exit('aws_cdk' in sys.modules)"
    subprocess.run([sys.executable, "-c", loaded], cwd=ROOT, check=True)


def test_only_production_must_choose_https_an_address_for_alarms_and_an_account() -> None:
    prod = dataclasses.replace(STAGES["prod"], account=ONE)
    assert [name for name, stage in STAGES.items() if stage.missing_for_production()] == ["prod"]
    for chosen in ({"domain": DOMAIN, "alarm_email": EMAIL}, {"allow_http": True, "alarm_email": NOBODY}):
        ready = dataclasses.replace(prod, **chosen)  # type: ignore[arg-type]  # any field
        assert ready.missing_for_production() == []
        (missing,) = dataclasses.replace(ready, account=None).missing_for_production()
        assert missing.endswith("set account.")


@pytest.mark.parametrize(
    ("stage", "environ", "caller", "expected"),
    [
        (DEV, {}, None, Target(None, None)),
        (DEV, {"CDK_DEFAULT_ACCOUNT": ONE, "CDK_DEFAULT_REGION": "eu-west-1"}, None, Target(ONE, "eu-west-1")),
        (DEV, {"AWS_REGION": "eu-west-1"}, ONE, Target(ONE, "eu-west-1")),
        (DEV, {"CDK_DEFAULT_REGION": "us-east-1"}, None, Target(None, None)),  # the CLI's default without credentials
        (FIXED, {"CDK_DEFAULT_REGION": "us-east-1"}, None, Target(ONE, "sa-east-1")),
        (FIXED, {"CDK_DEFAULT_ACCOUNT": TWO}, None, rf"account: {ONE} \(stage dev\), {TWO} \(CDK_DEFAULT_ACCOUNT\)"),
        (FIXED, {}, TWO, rf"{ONE} \(stage dev\), {TWO} \(the credentials\)"),
        (FIXED, {"AWS_REGION": "eu-west-1"}, ONE, r"region: sa-east-1 \(stage dev\), eu-west-1 \(AWS_REGION\)"),
        # Otherwise, dev would put its roles next to prod, or take prod out of the lifecycle rules.
        (DEV, {}, TWO, f"{TWO} is the account of prod or of its images: set the account of dev"),
        (DEV, {}, THREE, f"{THREE} is the account of prod or of its images: set"),
        (dataclasses.replace(DEV, account=TWO), {}, TWO, Target(TWO, None)),
    ],
)
def test_account_and_region_are_those_of_the_stage_or_of_the_environment_unless_they_contradict(
    monkeypatch: pytest.MonkeyPatch, stage: Stage, environ: dict[str, str], caller: str | None, expected: Target | str
) -> None:
    monkeypatch.setitem(STAGES, "prod", dataclasses.replace(STAGES["prod"], account=TWO, registry_account=THREE))
    if isinstance(expected, Target):
        assert target_of(stage, environ, caller_account=caller) == expected
    else:
        with pytest.raises(TargetError, match=expected):
            target_of(stage, environ, caller_account=caller)
