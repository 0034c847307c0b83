import pytest

from tests.infra.synthesis import every, templates, the

TABLE = "AWS::DynamoDB::GlobalTable"


def test_prod_retains_everything_except_after_a_failed_first_creation_and_can_restore_any_second() -> None:
    """What a failed creation leaves behind has a name, and would block the next attempt."""
    data = templates("prod").data
    for kind in (TABLE, "AWS::SecretsManager::Secret", "AWS::S3::Bucket", "AWS::Logs::LogGroup"):
        for resource in data.find_resources(kind).values():
            assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    (replica,) = the(data, TABLE)["Replicas"]
    assert replica["DeletionProtectionEnabled"] == {"Fn::If": ["Protected", True, False]}
    data.has_condition("Protected", {"Fn::Equals": [{"Ref": "DeletionProtection"}, "true"]})
    data.has_parameter("DeletionProtection", {"Default": "true"})
    assert replica["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    (replica,) = the(templates("dev").data, TABLE)["Replicas"]
    assert replica["DeletionProtectionEnabled"] is False, "so a stage that is no longer protected can be destroyed"


@pytest.mark.parametrize(("stage", "days"), [("dev", 30), ("prod", 90), ("playground", 1)])
def test_every_log_expires(stage: str, days: int) -> None:
    data = templates(stage).data
    groups = {group["LogGroupName"]: group["RetentionInDays"] for group in every(data, "AWS::Logs::LogGroup")}
    names = f"/notes/{stage}/app", f"/notes/{stage}/flow", f"aws-waf-logs-notes-{stage}"
    assert groups == dict.fromkeys(names, days)
    (rule,) = the(data, "AWS::S3::Bucket")["LifecycleConfiguration"]["Rules"]
    assert (rule["ExpirationInDays"], rule["Status"]) == (days, "Enabled")


def test_access_logs_are_private_and_written_by_load_balancers_of_this_account() -> None:
    data = templates("dev").data
    assert set(the(data, "AWS::S3::Bucket")["PublicAccessBlockConfiguration"].values()) == {True}
    statements = the(data, "AWS::S3::BucketPolicy")["PolicyDocument"]["Statement"]
    (allowed,) = (statement for statement in statements if statement["Effect"] == "Allow")
    assert allowed["Action"] == "s3:PutObject"
    assert allowed["Principal"] == {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
    assert "/alb/AWSLogs/" in str(allowed["Resource"])


def test_no_stack_exports_anything_to_another() -> None:
    """An export in use can be neither changed nor deleted."""
    for template in templates("dev").all:
        assert not [name for name, output in template.find_outputs("*").items() if "Export" in output]
        assert "Fn::ImportValue" not in str(template.to_json())
