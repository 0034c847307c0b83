from tests.infra.synthesis import (
    DOMAIN,
    TLS,
    attributes,
    container,
    environment,
    every,
    grants,
    statements_of,
    templates,
    the,
)


def test_roles_of_a_task_are_limited_to_its_table_its_images_its_log_and_its_secret() -> None:
    """tests/release compares the actions with what ECS calls."""
    service = templates(TLS).service
    definition = the(service, "AWS::ECS::TaskDefinition")
    task, execution = (
        grants(statements_of(service, definition[role]["Fn::GetAtt"][0]))
        for role in ("TaskRoleArn", "ExecutionRoleArn")
    )
    assert {resource.rpartition(":")[2] for _, resource in task} == {"table/notes-prod-pages"}
    assert {resource for action, resource in execution if action != "ecr:GetAuthorizationToken"} == {
        "arn:aws:ecr:us-east-1:*:repository/notes",
        "arn:aws:ecr:us-east-1:*:repository/aws-guardduty-agent-fargate",
        "arn:aws:logs:us-east-1:*:log-group:/notes/prod/app:*",
        "arn:aws:secretsmanager:us-east-1:*:secret:notes/prod/key-??????",  # AWS appends six characters
    }


def test_only_a_stage_with_https_gets_a_secret_that_needs_it() -> None:
    assert [secret["Name"] for secret in container(templates(TLS).service)["Secrets"]] == ["NOTES_KEY"]
    for stage in ("dev", "prod"):
        assert not container(templates(stage).service).get("Secrets")
        assert "secretsmanager" not in str(templates(stage).service.to_json())


def test_settings_reach_the_task_and_cannot_replace_its_table() -> None:
    settings = (("NOTES_LANGUAGE", "pt-BR"), ("NOTES_TABLE", "lost"))
    found = environment(templates(domain=DOMAIN, settings=settings, cpu=2048, memory=4096).service)
    assert found["NOTES_LANGUAGE"] == "pt-BR"
    assert found["NOTES_TABLE"] == "notes-dev-pages"
    assert found["WEB_CONCURRENCY"] == "2", "a task of several cores has a worker for each"
    assert "WEB_CONCURRENCY" not in environment(templates("dev").service)


def test_everything_billable_is_tagged_with_project_and_stage() -> None:
    """Budgets and clean-ups go by tags."""
    expected = {"project": "notes", "stage": "dev"}
    service = templates("dev").service
    for kind in ("AWS::ECS::Service", "AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert attributes(the(service, kind), "Tags").items() >= expected.items()
    (replica,) = the(templates("dev").data, "AWS::DynamoDB::GlobalTable")["Replicas"]
    assert attributes(replica, "Tags").items() >= expected.items()


def test_resources_that_nothing_refers_to_by_name_have_no_physical_name() -> None:
    """A physical name blocks the replacement of its resource."""
    balancing = (f"ElasticLoadBalancingV2::{kind}" for kind in ("LoadBalancer", "TargetGroup"))
    for kind in ("SNS::Topic", "Events::Rule", "IAM::Role", "EC2::SecurityGroup", "WAFv2::WebACL", *balancing):
        for properties in every(templates("prod").service, f"AWS::{kind}"):
            assert not {"Name", "TopicName", "RoleName", "GroupName"} & properties.keys(), kind
