import pytest
from aws_cdk.assertions import Template

from infra.stages import NOBODY
from tests.infra.synthesis import (
    DOMAIN,
    EMAIL,
    Templates,
    attributes,
    container,
    environment,
    every,
    list_of,
    statements_of,
    templates,
    the,
    variant,
)

ALL = ["dev", "prod", "playground", "pr-4"]


@pytest.mark.parametrize("stage", ALL)
def test_the_image_is_a_parameter_and_named_by_its_digest(stage: str) -> None:
    """After `@`: a registry would take what follows `:` as a tag."""
    service = templates(stage).service
    *name, digest = container(service)["Image"]["Fn::Join"][1]
    assert digest == {"Ref": "ImageDigest"}
    assert name[-1].endswith(f"/{templates(stage).stage.image_repository}@")
    parameter = service.find_parameters("ImageDigest")["ImageDigest"]
    assert parameter["AllowedPattern"] == "(sha256:[0-9a-f]{64})?"
    assert service.find_outputs("DeployedDigest")["DeployedDigest"]["Value"] == digest


def refusals(service: Template) -> dict[str, object]:
    """Return the assertions of the stack's rule by description."""
    assertions = service.to_json()["Rules"]["Requirements"]["Assertions"]
    return {each["AssertDescription"]: each["Assert"] for each in assertions}


def test_a_first_deployment_without_an_image_is_rejected_with_the_command_to_run() -> None:
    (description, condition), *others = refusals(templates("dev").service).items()
    assert "run make deploy ENV=dev or cdk deploy --parameters CommentsService-dev:ImageDigest=" in description
    assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": "ImageDigest"}, ""]}]}
    assert templates("dev").service.find_parameters("ImageDigest")["ImageDigest"]["Default"] == ""
    assert not others


def test_prod_is_rejected_until_https_and_alarm_email_are_set() -> None:
    http, silent, image = refusals(templates("prod").service).items()
    assert "allow_http=True" in http[0]
    assert "alarm_email=NOBODY" in silent[0]
    never = {"Fn::Equals": [{"Ref": "ImageDigest"}, "none"]}  # the parameter's pattern doesn't allow it
    assert (http[1], silent[1]) == (never, never)
    for fields in ({"domain": DOMAIN, "alarm_email": EMAIL}, {"allow_http": True, "alarm_email": NOBODY}):
        assert list(refusals(variant("prod", **fields).service)) == [image[0]]


def test_the_task_may_use_its_table_and_nothing_else() -> None:
    service = templates("dev").service
    task = the(service, "AWS::ECS::TaskDefinition")["TaskRoleArn"]["Fn::GetAtt"][0]
    (statement,) = statements_of(service, task)
    assert set(statement["Action"]) == {f"dynamodb:{name}" for name in ("Query", "GetItem", "PutItem", "DeleteItem")}
    assert "table/comments-dev" in str(statement["Resource"])
    assert "*" not in str(statement["Resource"])


def test_ecs_may_pull_the_image_and_write_the_log() -> None:
    service = templates("dev").service
    execution = the(service, "AWS::ECS::TaskDefinition")["ExecutionRoleArn"]["Fn::GetAtt"][0]
    allowed = {
        action: each["Resource"] for each in statements_of(service, execution) for action in list_of(each["Action"])
    }
    assert allowed.keys() == {
        *("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"),
        *("ecr:GetAuthorizationToken", "logs:CreateLogStream", "logs:PutLogEvents"),
    }
    assert str(allowed["ecr:BatchGetImage"]).rstrip("']}").endswith(":repository/comments")
    assert ":log-group:/comments/dev/app:" in str(allowed["logs:PutLogEvents"])


@pytest.mark.parametrize("stage", ["dev", "prod", "pr-4"])
def test_without_https_there_is_no_moderator(stage: str) -> None:
    assert not container(templates(stage).service).get("Secrets")
    assert "secretsmanager" not in str(templates(stage).service.to_json())


@pytest.mark.parametrize("templated", [variant(domain=DOMAIN), templates("playground")], ids=["https", "playground"])
def test_the_moderators_token_comes_from_the_secret_which_only_ecs_may_read(templated: Templates) -> None:
    service, stage = templated.service, templated.stage
    (secret,) = container(service)["Secrets"]
    assert secret["Name"] == "COMMENTS_MODERATOR_TOKEN"
    assert secret["ValueFrom"]["Fn::Join"][1][-1].endswith(f":secret:{stage.moderator_secret}")
    assert "COMMENTS_MODERATOR_TOKEN" not in environment(service)
    task = the(service, "AWS::ECS::TaskDefinition")
    (readers,) = (policy["Roles"] for policy in every(service, "AWS::IAM::Policy") if "secretsmanager:" in str(policy))
    assert readers == [{"Ref": task["ExecutionRoleArn"]["Fn::GetAtt"][0]}]
    (statement,) = (each for each in statements_of(service, readers[0]["Ref"]) if "secretsmanager:" in str(each))
    # AWS: Secrets Manager appends six characters to a name.
    assert statement["Resource"]["Fn::Join"][1][-1].endswith(f":secret:{stage.moderator_secret}-??????")


def test_settings_reach_the_task_and_cannot_replace_its_store() -> None:
    settings = (("COMMENTS_MODERATION", "on"), ("COMMENTS_STORE", "sqlite:////tmp/lost.db"))
    found = environment(variant(domain=DOMAIN, settings=settings).service)
    assert found["COMMENTS_MODERATION"] == "on"
    assert found["COMMENTS_STORE"] == "dynamodb://comments-dev"


@pytest.mark.parametrize(("cpu", "workers"), [(256, None), (1024, None), (2048, "2"), (4096, "4")])
def test_a_task_of_several_cores_has_a_worker_for_each(cpu: int, workers: str | None) -> None:
    assert environment(variant(cpu=cpu, memory=2 * cpu).service).get("WEB_CONCURRENCY") == workers


def test_a_stage_without_route_metrics_has_none_anywhere() -> None:
    service = variant("prod", route_metrics=False).service
    assert "COMMENTS_METRICS" not in environment(service)
    assert "SEARCH" not in str(the(service, "AWS::CloudWatch::Dashboard"))


def test_a_budget_warns_at_80_and_100_percent_where_there_is_an_address() -> None:
    budget = the(variant(alarm_email=EMAIL, monthly_budget=60).service, "AWS::Budgets::Budget")
    assert budget["Budget"]["BudgetLimit"] == {"Amount": 60, "Unit": "USD"}
    assert budget["Budget"]["TimeUnit"] == "MONTHLY"
    assert budget["Budget"]["CostFilters"] == {"TagKeyValue": ["user:stage$dev"]}
    warnings = {
        each["Notification"]["Threshold"]: each["Subscribers"] for each in budget["NotificationsWithSubscribers"]
    }
    assert warnings == {percent: [{"SubscriptionType": "EMAIL", "Address": EMAIL}] for percent in (80, 100)}
    for fields in ({"alarm_email": NOBODY}, {"alarm_email": EMAIL, "monthly_budget": None}):
        variant(**fields).service.resource_count_is("AWS::Budgets::Budget", 0)


@pytest.mark.parametrize("stage", ALL)
def test_everything_billable_is_tagged_with_project_and_stage(stage: str) -> None:
    """Budgets and clean-ups go by tags."""
    expected = {"project": "comments", "stage": stage}
    service = templates(stage).service
    for kind in ("AWS::ECS::Service", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert attributes(the(service, kind), "Tags").items() >= expected.items()
    (replica,) = the(templates(stage).data, "AWS::DynamoDB::GlobalTable")["Replicas"]
    assert attributes(replica, "Tags").items() >= expected.items()


def test_resources_that_nothing_refers_to_by_name_have_no_physical_name() -> None:
    """A physical name blocks the replacement of its resource."""
    service = templates("prod").service
    for kind in ("SNS::Topic", "Events::Rule", "IAM::Role", "EC2::SecurityGroup", "WAFv2::WebACL"):
        for properties in every(service, f"AWS::{kind}"):
            assert not {"Name", "TopicName", "RoleName", "GroupName"} & properties.keys(), kind
    for kind in ("LoadBalancer", "TargetGroup"):
        assert "Name" not in the(service, f"AWS::ElasticLoadBalancingV2::{kind}")


def test_prod_has_deletion_protection() -> None:
    for stage, protected in (("prod", "true"), ("dev", "false")):
        balancer = the(templates(stage).service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
        assert attributes(balancer, "LoadBalancerAttributes")["deletion_protection.enabled"] == protected


def test_the_release_finds_the_base_url() -> None:
    assert templates("dev").service.find_outputs("BaseUrl")["BaseUrl"]["Value"]["Fn::Join"][1][0] == "http://"
    url = variant(domain=DOMAIN).service.find_outputs("BaseUrl")["BaseUrl"]["Value"]
    assert url == "https://comments.example.com"
