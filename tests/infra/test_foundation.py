import pytest
from aws_cdk.assertions import Match

from tests.infra.synthesis import every, templates, the

KINDS = ("AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::S3::Bucket", "AWS::Logs::LogGroup")


def test_comments_can_be_restored_to_any_second_and_pay_for_requests_only() -> None:
    table = the(templates("dev").foundation, "AWS::DynamoDB::Table")
    assert table["TableName"] == "comments-dev"
    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_prod_keeps_everything_whatever_is_deleted() -> None:
    foundation = templates("prod").foundation
    for kind in KINDS:
        for resource in foundation.find_resources(kind).values():
            assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
    assert the(foundation, "AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is True


@pytest.mark.parametrize("stage", ["playground", "pr-3", "dev"])
def test_other_stages_leave_nothing_behind(stage: str) -> None:
    foundation = templates(stage).foundation
    for kind in KINDS:
        for resource in foundation.find_resources(kind).values():
            assert resource["DeletionPolicy"] == "Delete"
    assert the(foundation, "AWS::DynamoDB::Table")["DeletionProtectionEnabled"] is False


@pytest.mark.parametrize(("stage", "days"), [("dev", 30), ("prod", 90), ("pr-3", 1)])
def test_every_log_expires(stage: str, days: int) -> None:
    foundation = templates(stage).foundation
    groups = {group["LogGroupName"]: group["RetentionInDays"] for group in every(foundation, "AWS::Logs::LogGroup")}
    names = f"/comments/{stage}/app", f"/comments/{stage}/flow", f"aws-waf-logs-comments-{stage}"
    assert groups == dict.fromkeys(names, days)
    (rule,) = the(foundation, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (days, "Enabled")


def test_the_access_logs_are_private_and_written_by_the_balancer_of_this_account_alone() -> None:
    foundation = templates("dev").foundation
    bucket = the(foundation, "AWS::S3::Bucket")
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    statements = the(foundation, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    allowed = [statement for statement in statements if statement["Effect"] == "Allow"]
    assert [(statement["Action"], statement["Principal"]) for statement in allowed] == [
        ("s3:PutObject", {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"})
    ]
    assert "/alb/AWSLogs/" in str(allowed[0]["Resource"])
    foundation.has_resource_properties(
        "AWS::S3::BucketPolicy",
        {
            "PolicyDocument": {
                "Statement": Match.array_with(
                    [
                        Match.object_like(
                            {
                                "Effect": "Deny",
                                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                                "Action": "s3:*",
                            }
                        )
                    ]
                )
            }
        },
    )


def test_the_moderators_secret_is_made_of_letters_and_digits() -> None:
    """It travels in a header and through shells; forty characters of those are 238 bits."""
    secret = the(templates("dev").foundation, "AWS::SecretsManager::Secret")
    assert secret["Name"] == "comments/dev/moderator"
    assert secret["GenerateSecretString"] == {"ExcludePunctuation": True, "PasswordLength": 40}


def test_no_stack_exports_anything_to_another() -> None:
    """An export in use can be neither changed nor deleted."""
    stacks = templates("dev")
    for template in (stacks.access, stacks.registry, stacks.foundation, stacks.service):
        assert not [name for name, output in template.find_outputs("*").items() if "Export" in output]
        assert "Fn::ImportValue" not in str(template.to_json())
