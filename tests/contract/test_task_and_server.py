import ast
from typing import Any, cast

from aws_cdk.assertions import Template

from comments import create_app
from comments.settings import Settings
from comments.store import CommentStore
from infra.stages import STAGES
from tests.contract.conftest import Dockerfile
from tests.infra.synthesis import attributes, container, every, templates, the


def test_the_balancer_gives_up_an_idle_connection_before_the_server_does(
    service: Template, server: dict[str, str]
) -> None:
    """A server that closes it first answers the request already under way with a reset: a 502."""
    balancer = the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    idle = int(attributes(balancer, "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    assert int(server["keepalive"]) > idle


def test_connections_are_kept_at_all(server: dict[str, str]) -> None:
    """Gunicorn's sync workers ignore keepalive; ours extends the threaded one."""
    assert server["worker_class"].endswith("serving.worker.Worker")
    assert server["max_requests"] == "0"  # under gthread a worker that retires drops its connections


def test_the_server_has_stopped_before_it_is_killed(service: Template, server: dict[str, str]) -> None:
    assert int(server["graceful_timeout"]) < container(service)["StopTimeout"]


def test_a_request_in_flight_is_finished_before_the_task_is_stopped(service: Template, server: dict[str, str]) -> None:
    """ECS drains first, then stops; the server needs no longer for what the balancer has waited for already."""
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    assert drain <= int(server["graceful_timeout"])


def test_one_port_from_the_balancer_to_the_server(
    service: Template, dockerfile: Dockerfile, server: dict[str, str]
) -> None:
    (bind,) = ast.literal_eval(server["bind"])
    (mapping,) = container(service)["PortMappings"]
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    (balancer,) = the(service, "AWS::ECS::Service")["LoadBalancers"]
    ports = {group["Port"], mapping["ContainerPort"], balancer["ContainerPort"], int(dockerfile.instructions["EXPOSE"])}
    assert ports == {int(bind.rsplit(":", 1)[1])}
    assert bind.startswith("0.0.0.0:")


def test_one_user_in_the_image_and_in_the_task(service: Template, dockerfile: Dockerfile) -> None:
    assert container(service)["User"] == dockerfile.instructions["USER"]


def test_the_image_starts_as_it_was_made(service: Template) -> None:
    """Command and health check belong to the image; the task overrides neither."""
    assert not {"Command", "EntryPoint", "HealthCheck", "WorkingDirectory"} & container(service).keys()


def test_the_server_writes_only_to_memory(server: dict[str, str]) -> None:
    """The task's root is read-only, and it mounts no volume."""
    assert server["worker_tmp_dir"] in {"/dev/shm", "None"}  # None on a machine without it, such as macOS
    assert server["control_socket_disable"] == "True"
    assert server["pidfile"] == "None"


def test_every_variable_of_the_task_is_a_setting(task_environment: dict[str, str]) -> None:
    """An unknown COMMENTS_ variable stops the service, so the task must set none."""
    settings = Settings.from_environment(task_environment)
    assert settings.store == "dynamodb://comments-dev"
    assert all(name.startswith("COMMENTS_") for name in task_environment)


def test_every_secret_of_the_task_is_a_setting_too(task_environment: dict[str, str]) -> None:
    secrets = [secret["Name"] for secret in container(templates("playground").service)["Secrets"]]
    settings = Settings.from_environment({**task_environment, **dict.fromkeys(secrets, "x" * 40)})
    assert settings.moderator_token == "x" * 40


def test_what_a_stage_sets_is_taken_by_the_service() -> None:
    for name in STAGES:
        task = container(templates(name).service)
        environment = {pair["Name"]: pair["Value"] for pair in task["Environment"]}
        secrets = {secret["Name"]: "x" * 40 for secret in task.get("Secrets", [])}
        Settings.from_environment(environment | secrets)


def test_the_balancer_is_the_one_trusted_proxy(task_environment: dict[str, str]) -> None:
    assert Settings.from_environment(task_environment).trusted_proxies == 1


def test_every_stage_has_a_table_of_its_own() -> None:
    for stage in ("dev", "prod", "playground", "pr-8"):
        environment = {pair["Name"]: pair["Value"] for pair in container(templates(stage).service)["Environment"]}
        table = the(templates(stage).foundation, "AWS::DynamoDB::Table")["TableName"]
        assert Settings.from_environment(environment).store == f"dynamodb://{table}"


class BrokenStore:
    """A store that fails whatever it is asked for."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"asked to {name}")


def test_the_health_check_asks_for_what_the_service_answers_without_its_store(service: Template) -> None:
    """A hiccup of the store must not replace every task."""
    client = create_app(Settings(), cast(CommentStore, BrokenStore())).test_client()
    for group in every(service, "AWS::ElasticLoadBalancingV2::TargetGroup"):
        answer = client.get(group["HealthCheckPath"])
        assert str(answer.status_code) == group["Matcher"]["HttpCode"]
        assert answer.is_json
