"""Resources of a workload: their permissions, names and prices follow from `owns`."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2, aws_sns, aws_sqs
from aws_cdk.assertions import Template
from constructs import Construct

from infra.checks import policy_problems
from infra.config import STAGES
from infra.constructs.own_resources import require_owned
from infra.cost.bill import bill
from infra.model import ConfigurationError
from infra.permissions import granted, not_granted
from tests.infra.every_service.workload import JOBS
from tests.infra.synthesis import ROOT, environment, every, grants, statements_of, the

VARIABLES = os.environ | {"CONFIG_PACKAGE": "tests.infra.every_service", "CDK_VALIDATION": "false"}


@pytest.fixture(scope="module")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Template]:
    """The templates of the stage dev of that workload, by what they are for."""
    folder = tmp_path_factory.mktemp("every_service")
    variables = VARIABLES | {"CDK_OUTDIR": str(folder)}
    subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=variables, check=True)
    names = {"access": "Access", "data": "Foundation-dev", "service": "Service-dev"}
    files = {key: folder / f"EveryService{name}.template.json" for key, name in names.items()}
    return {key: Template.from_json(json.loads(file.read_text())) for key, file in files.items()}


def test_tasks_may_do_with_each_resource_what_its_entry_says(synthesized: dict[str, Template]) -> None:
    service = synthesized["service"]
    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    allowed = grants(statements_of(service, task))
    name = "arn:aws:{}:*:*:every-service-dev"
    assert {(action, resource) for action, resource in allowed if action != "dynamodb:PutItem"} == {
        ("dynamodb:Query", f"{name.format('dynamodb').replace(':every', ':table/every')}"),
        ("dynamodb:Query", f"{name.format('dynamodb').replace(':every', ':table/every')}/index/*"),
        *((f"s3:{verb}Object", f"arn:aws:s3:::every-service-dev-uploads-*-*{part}") for verb in ("Get", "Put")
          for part in ("", "/*")),
        ("sqs:SendMessage", f"{name.format('sqs')}-jobs"),
        ("sns:Publish", f"{name.format('sns')}-news"),
        ("ses:SendEmail", "arn:aws:ses:*:*:identity/mail.example.com"),
    }  # fmt: skip
    variables = environment(service)
    assert variables["BUCKET"] == "every-service-dev-uploads-*-*"
    assert variables["QUEUE"] == "https://sqs.*.*/*/every-service-dev-jobs"
    assert variables["TOPIC"].endswith(":every-service-dev-news")
    assert variables["SENDER"] == "mail.example.com"


def test_the_policies_allow_them_and_are_not_too_large(synthesized: dict[str, Template]) -> None:
    assert list(policy_problems(synthesized["access"].to_json())) == []
    policies = {each["ManagedPolicyName"]: each for each in every(synthesized["access"], "AWS::IAM::ManagedPolicy")}
    queue = "arn:aws:sqs:eu-west-1:111122223333:every-service-dev-jobs"
    bucket = "arn:aws:s3:::every-service-dev-uploads-111122223333-eu-west-1"
    needed = {
        "every-service-cdk-execution": (
            ("sqs:CreateQueue", queue),
            ("s3:CreateBucket", bucket),
            ("dynamodb:CreateTable", "arn:aws:dynamodb:eu-west-1:111122223333:table/every-service-dev"),
            ("sns:CreateTopic", "arn:aws:sns:eu-west-1:111122223333:every-service-dev-news"),
            ("ses:CreateEmailIdentity", "arn:aws:ses:eu-west-1:111122223333:identity/mail.example.com"),
        ),
        "every-service-boundary": (("sqs:SendMessage", queue), ("s3:GetObject", f"{bucket}/photo")),
    }
    assert policies.keys() == needed.keys()
    for name, uses in needed.items():
        allowed = grants(policies[name]["PolicyDocument"]["Statement"])
        for action, resource in uses:
            matches = [fnmatch(action, each) and fnmatch(resource, pattern) for each, pattern in allowed]
            assert any(matches), (name, action)
    boundary = grants(policies["every-service-boundary"]["PolicyDocument"]["Statement"])
    logs = "arn:aws:s3:::every-service-dev-logs-111122223333-eu-west-1/alb"
    assert not any(fnmatch(logs, pattern) for action, pattern in boundary if action.startswith("s3:"))


PRINT_BILLS = """
import json, sys
from pathlib import Path
from infra.cost.bill import bills, rows

print(*rows(bills([json.loads(path.read_text()) for path in Path(sys.argv[1]).glob("*.template.json")])), sep="\\n")
"""


def test_usage_has_a_price_and_a_type_without_one_is_listed(synthesized: dict[str, Template], tmp_path: Path) -> None:
    """A request of this workload writes 1 and reads 2 units, sends half a message, and so on."""
    for name, template in synthesized.items():
        (tmp_path / f"{name}.template.json").write_text(json.dumps(template.to_json()))
    command = [sys.executable, "-c", PRINT_BILLS, str(tmp_path)]  # another process, because it is another workload
    printed = subprocess.check_output(command, cwd=ROOT, env=VARIABLES, text=True)
    million = {line[:39].strip(): float(line.split()[-2]) for line in printed.splitlines()}
    assert (
        million.items()
        >= {
            "table: writes": 0.62,
            "table: reads": 0.25,
            "bucket: storage": 13.80,
            "queue: requests": 0.20,
            "topic: messages": 0.25,
            "emails": 10.00,
        }.items()
    )
    (line,) = bill([{"Resources": {"Stream": {"Type": "AWS::Kinesis::Stream"}}}], 0).lines
    assert line.label == "not priced: AWS::Kinesis::Stream"


def own(kind: type[Construct], **properties: Any) -> None:
    """Add a resource to a stack of dev, as infra/resources.py does."""
    stack = cdk.Stack(cdk.App(), "Foundation")
    kind(stack, "Jobs", **properties)
    require_owned(stack, before=set(), owns=[JOBS], stage=STAGES["dev"])


def test_a_resource_that_could_not_be_deployed_is_named() -> None:
    own(aws_sqs.CfnQueue, queue_name=f"{STAGES['dev'].service}-jobs")
    with pytest.raises(ConfigurationError, match=r"adds Foundation/Jobs, which must be named notes-dev-jobs, as owns"):
        own(aws_sqs.CfnQueue)
    with pytest.raises(ConfigurationError, match=r"type AWS::SNS::Topic: add it to owns in infra/workload\.py"):
        own(aws_sns.CfnTopic, topic_name="notes-dev-jobs")
    with pytest.raises(ConfigurationError, match=r"type AWS::EC2::EIP: only dynamodb, s3, sqs, sns, ses are allowed"):
        own(aws_ec2.CfnEIP)


def test_only_an_entry_that_needs_more_permissions_is_not_granted_yet() -> None:
    tags = granted([JOBS])
    assert not_granted([], tags) == not_granted([replace(JOBS, writes=9, variable=None, actions=())], tags) == []
    for changed in (replace(JOBS, name="tasks"), replace(JOBS, actions=(*JOBS.actions, "sqs:ReceiveMessage"))):
        assert not_granted([changed], tags) == ["sqs"]
    assert not_granted([JOBS], granted([])) == ["sqs"]
    most = replace(JOBS, actions=tuple(f"sqs:Action{number}" for number in range(34)))
    assert max(map(len, granted([most]).values())) <= 256  # AWS: of a tag
