"""A refused call is explained to the person who releases: who lacks what, and where that is granted."""

import pytest
from botocore.exceptions import ClientError

from release import denials
from release.aws import Aws, explained
from release.destroy import empty_bucket
from release.errors import AwsError

DEV = "arn:aws:sts::111122223333:assumed-role/comments-deploy-dev/workflow"
READ = "arn:aws:sts::111122223333:assumed-role/comments-read/workflow"
CDK = "arn:aws:sts::111122223333:assumed-role/cdk-comments-cfn-exec-role-111122223333-eu-west-1/AWSCloudFormation"
DEPLOYING = "arn:aws:iam::111122223333:role/comments-cdk-deploy"
TASK = "arn:aws:sts::111122223333:assumed-role/CommentsService-dev-ApiTaskRole1A2B/3c4d"
ALICE = "arn:aws:iam::111122223333:user/people/alice"
SERVICE = "arn:aws:ecs:eu-west-1:111122223333:service/comments-dev/comments-dev"


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        pytest.param(
            "AccessDeniedException",
            f"User: {DEV} is not authorized to perform: ecs:DescribeServices on resource: {SERVICE}"
            " because no identity-based policy allows the ecs:DescribeServices action",
            f"the role comments-deploy-dev lacks ecs:DescribeServices on {SERVICE}: infra/permissions.py grants it,"
            " so deploy CommentsAccess again (make bootstrap)",
            id="a role that was deployed before the permission was granted",
        ),
        pytest.param(
            "AccessDeniedException",
            f"User: {READ} is not authorized to perform: s3:DeleteObject on resource:"
            ' "arn:aws:s3:::logs/line" because no identity-based policy allows the s3:DeleteObject action',
            "the role comments-read lacks s3:DeleteObject on arn:aws:s3:::logs/line: infra/permissions.py gives it to"
            " comments-preview; give it to this one too and deploy CommentsAccess again (make bootstrap)",
            id="a role that is for something else",
        ),
        pytest.param(
            "UnauthorizedOperation",
            f"You are not authorized to perform this operation. User: {ALICE} is not authorized to perform:"
            " ec2:DescribeVpcs because no identity-based policy allows the ec2:DescribeVpcs action",
            "the user alice lacks ec2:DescribeVpcs: have it granted; infra/permissions.py lists what a release needs",
            id="a person",
        ),
        pytest.param(
            "AccessDenied",
            f"User: {DEV} is not authorized to perform: ecr:PutImage on resource: arn:aws:ecr:::repository/comments"
            " with an explicit deny in a service control policy",
            "the role comments-deploy-dev is denied ecr:PutImage on arn:aws:ecr:::repository/comments"
            " with an explicit deny in a service control policy: ask who administers the account",
            id="an organization that forbids it",
        ),
        pytest.param(
            "AccessDenied",
            f"User: {CDK} is not authorized to perform: wafv2:CreateWebACL on resource: arn:aws:wafv2:::x because no"
            " identity-based policy allows the wafv2:CreateWebACL action",
            "infra/execution_policy.py says what CloudFormation may do; change that and run `make bootstrap` again",
            id="CloudFormation",
        ),
        pytest.param(
            "AccessDenied",
            f"User: {TASK} is not authorized to perform: dynamodb:Query on resource: arn:aws:dynamodb:::table/x because"
            " no identity-based policy allows the dynamodb:Query action",
            "infra/stacks/service.py says what the tasks may do; `make deploy` brings it",
            id="a task",
        ),
        pytest.param(
            "AccessDenied", "Access Denied", "AWS refused DoIt: AccessDenied: Access Denied", id="AWS gives no reason"
        ),
    ],
)
def test_a_denial_says_who_lacks_what_and_where_it_is_granted(code: str, message: str, said: str) -> None:
    summary = explained(ClientError({"Error": {"Code": code, "Message": message}}, "DoIt")).summary
    assert summary.endswith(said)
    assert "\n" not in summary


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            (
                "denied: User: arn:aws:sts::111122223333:assumed-role/comments-deploy-dev/workflow is not authorized to"
                " perform: ecr:UploadLayerPart on resource: arn:aws:ecr:::repository/comments because no identity-based"
                " policy allows the ecr:UploadLayerPart action"
            ),
            "the role comments-deploy-dev lacks ecr:UploadLayerPart on arn:aws:ecr:::repository/comments: ",
        ),
        (
            'error parsing HTTP 403 response body: unexpected end of JSON input: ""',
            "these credentials lack ecr:BatchCheckLayerAvailability: ",
        ),
        (
            f"current credentials could not be used to assume '{DEPLOYING}', but are for the right account.",
            f"these credentials lack sts:AssumeRole on {DEPLOYING}: ",
        ),
    ],
    ids=["docker push", "docker push, which is told nothing", "cdk deploy"],
)
def test_a_tools_words_for_a_denial_are_understood(text: str, said: str) -> None:
    assert (denials.explained(text) or "").startswith(said)


def test_other_words_of_a_tool_are_no_denial() -> None:
    assert denials.explained("denied: requested access to the resource is denied") is None


def test_objects_that_s3_keeps_are_a_failure(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS answers a deletion of many objects with 200, and with what it refused."""
    s3 = aws.untyped("s3")
    s3.create_bucket(Bucket="kept")
    s3.put_object(Bucket="kept", Key="alb/line", Body=b"a line")
    refusal = {"Errors": [{"Key": "alb/line", "Code": "AccessDenied", "Message": "Access Denied"}]}
    with monkeypatch.context() as patched:
        patched.setattr(s3, "delete_objects", lambda **_: refusal)
        patched.setattr(Aws, "untyped", lambda *_: s3)
        with pytest.raises(AwsError, match=r"S3 keeps 1 of 1 objects of kept \(AccessDenied\).*s3:DeleteObject"):
            empty_bucket(aws, "kept")
    assert empty_bucket(aws, "kept") == 1
    s3.delete_bucket(Bucket="kept")
