"""Resources of a workload: their permissions, names and prices follow from `owns`."""

from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import aws_cdk as cdk
import pytest
from aws_cdk import aws_ec2, aws_sns, aws_sqs
from constructs import Construct

from infra.boundary import granted, not_granted
from infra.checks import policy_problems
from infra.config import STAGES
from infra.constructs.own_resources import require_owned
from infra.cost.bill import bill
from infra.model import ConfigurationError
from tests.infra.every_service.workload import JOBS, WORKLOAD
from tests.infra.synthesis import Templates, environment, every, grants, statements_of, templates_of, the


def synthesized() -> Templates:
    return templates_of("tests.infra.every_service", "EveryService", "dev")


def test_tasks_may_do_with_each_resource_what_its_entry_says() -> None:
    service = synthesized().service
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


def test_the_policies_allow_them_and_are_not_too_large() -> None:
    access = synthesized().access
    assert list(policy_problems(access.to_json())) == []
    policies = {each["ManagedPolicyName"]: each for each in every(access, "AWS::IAM::ManagedPolicy")}
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


def test_usage_has_a_price_and_a_type_without_one_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request of this workload writes 1 and reads 2 units, sends half a message, and so on."""
    monkeypatch.setattr("infra.cost.bill.WORKLOAD", WORKLOAD)
    found = bill([each.to_json() for each in synthesized().all], 1_000_000)
    storage = {"table: writes": 0.62, "table: reads": 0.25, "bucket: storage": 13.80}
    messages = {"queue: requests": 0.20, "topic: messages": 0.25, "emails": 10.00}
    assert {line.label: round(line.dollars, 2) for line in found.lines}.items() >= (storage | messages).items()
    (line,) = bill([{"Resources": {"Stream": {"Type": "AWS::Kinesis::Stream"}}}], 0).lines
    assert line.label == "not priced: AWS::Kinesis::Stream"


def own(kind: type[Construct], **properties: Any) -> None:
    """Add a resource to a stack of dev, as infra/resources.py does."""
    stack = cdk.Stack(cdk.App(), "Foundation")
    kind(stack, "Jobs", **properties)
    require_owned(stack, before=set(), owns=[JOBS], stage=STAGES["dev"])


def test_a_resource_that_could_not_be_deployed_is_named() -> None:
    own(aws_sqs.CfnQueue, queue_name=f"{STAGES['dev'].service}-jobs")
    with pytest.raises(ConfigurationError, match=r"adds Foundation/Jobs, which needs the name notes-dev-jobs, or"):
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
