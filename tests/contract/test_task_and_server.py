import ast
import json
import re
from collections.abc import Mapping
from typing import Any, cast

import pytest
from aws_cdk.assertions import Template

from comments.app import create_app
from comments.config import Settings, load_settings, unknown_variables
from comments.stores import CommentStore
from infra.stages import STAGES
from tests.contract.conftest import ROOT, Dockerfile
from tests.infra.synthesis import attributes, container, every, templates, the


def test_the_load_balancer_closes_idle_connections_before_the_server_does(
    service: Template, server: dict[str, str]
) -> None:
    """Otherwise the server may close one just as the load balancer sends a request on it: a 502."""
    balancer = the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    idle = int(attributes(balancer, "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    assert int(server["keepalive"]) > idle


def test_the_worker_keeps_connections_open(server: dict[str, str]) -> None:
    """Gunicorn's sync worker ignores keepalive, and a worker that retires closes its connections."""
    assert server["worker_class"] == "gevent"
    assert server["max_requests"] == "0"


def test_the_server_stops_before_ecs_kills_it(service: Template, server: dict[str, str]) -> None:
    assert int(server["graceful_timeout"]) < container(service)["StopTimeout"]


def test_requests_in_flight_finish_before_the_task_stops(service: Template, server: dict[str, str]) -> None:
    """ECS drains a task before it stops it. The server must allow requests as long as the load balancer does."""
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    assert drain <= int(server["graceful_timeout"])


def test_the_load_balancer_the_container_and_the_server_use_one_port(
    service: Template, dockerfile: Dockerfile, server: dict[str, str]
) -> None:
    (bind,) = ast.literal_eval(server["bind"])
    (mapping,) = container(service)["PortMappings"]
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    (balancer,) = the(service, "AWS::ECS::Service")["LoadBalancers"]
    ports = {group["Port"], mapping["ContainerPort"], balancer["ContainerPort"], int(dockerfile.instructions["EXPOSE"])}
    assert ports == {int(bind.rsplit(":", 1)[1])}
    assert bind.startswith("0.0.0.0:")


def test_the_image_and_the_task_name_the_same_user(service: Template, dockerfile: Dockerfile) -> None:
    assert container(service)["User"] == dockerfile.instructions["USER"]


def test_the_task_overrides_neither_command_nor_health_check_of_the_image(service: Template) -> None:
    assert not {"Command", "EntryPoint", "HealthCheck", "WorkingDirectory"} & container(service).keys()


def test_the_server_writes_only_to_memory(server: dict[str, str]) -> None:
    """The task's root file system is read-only, and it mounts no volume."""
    assert server["worker_tmp_dir"] in {"/dev/shm", "None"}  # None on a machine without it, such as macOS
    assert server["control_socket_disable"] == "True"
    assert server["pidfile"] == "None"


def settings_from(environment: Mapping[str, str]) -> Settings:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        return load_settings()


def test_every_variable_of_a_task_is_a_setting_that_the_service_accepts() -> None:
    for stage in STAGES:
        task = container(templates(stage).service)
        environment = {variable["Name"]: variable["Value"] for variable in task["Environment"]}
        secrets = {secret["Name"]: "x" * 40 for secret in task.get("Secrets", [])}
        assert unknown_variables(environment | secrets) == []
        settings = settings_from(environment | secrets)
        assert bool(settings.moderator_token.get_secret_value()) == bool(secrets)


def test_the_load_balancer_is_the_one_trusted_proxy(task_environment: dict[str, str]) -> None:
    assert settings_from(task_environment).trusted_proxies == 1


def test_every_stage_has_its_own_table() -> None:
    for stage in ("dev", "prod", "playground", "pr-1"):
        environment = {pair["Name"]: pair["Value"] for pair in container(templates(stage).service)["Environment"]}
        table = the(templates(stage).data, "AWS::DynamoDB::GlobalTable")["TableName"]
        assert settings_from(environment).store == f"dynamodb://{table}"


class BrokenStore:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was called")


def test_the_health_check_does_not_depend_on_the_store(service: Template) -> None:
    """A short outage of the store must not replace every task."""
    client = create_app(Settings(), cast(CommentStore, BrokenStore())).test_client()
    for group in every(service, "AWS::ElasticLoadBalancingV2::TargetGroup"):
        response = client.get(group["HealthCheckPath"])
        assert str(response.status_code) == group["Matcher"]["HttpCode"]
        assert response.is_json


def test_the_base_image_is_pinned_and_found_by_renovate() -> None:
    (manager,) = json.loads((ROOT / "renovate.json").read_text())["customManagers"]
    pattern = manager["matchStrings"][0].replace("(?<", "(?P<")
    found = [re.search(pattern, (ROOT / name).read_text()) for name in manager["managerFilePatterns"]]
    assert len({match and match["currentDigest"] for match in found}) == 1
    assert all(found)
