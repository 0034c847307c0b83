from collections.abc import Sequence

import aws_cdk as cdk
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.constructs.alarms import Alarms
from infra.constructs.dashboard import Row
from infra.model import Owned, Stage
from tests.infra.every_service.workload import JOBS, NEWS, SENDER, TABLE, UPLOADS


def add_data_resources(scope: Construct, *, stage: Stage, removal_policy: cdk.RemovalPolicy) -> None:
    def name(owned: Owned) -> str:
        stack = cdk.Stack.of(scope)
        return stage.physical_name(owned, account=stack.account, region=stack.region)

    key = dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING)
    dynamodb.TableV2(scope, "Table", table_name=name(TABLE), partition_key=key, removal_policy=removal_policy)
    s3.Bucket(scope, "Uploads", bucket_name=name(UPLOADS), removal_policy=removal_policy)
    sqs.Queue(scope, "Jobs", queue_name=name(JOBS), removal_policy=removal_policy)
    sns.Topic(scope, "News", topic_name=name(NEWS))
    ses.EmailIdentity(scope, "Sender", identity=ses.Identity.domain(name(SENDER)))


def add_service_resources(scope: Construct, *, stage: Stage, alarms: Alarms) -> Sequence[Row]:  # noqa: ARG001  # none
    return ()
