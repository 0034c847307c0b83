"""The image, gunicorn and the application fit the task and the load balancer."""

import ast
import json
import re
from unittest.mock import Mock

import pytest
from aws_cdk.assertions import Template

from comments.app import create_app
from comments.config import Settings, load_settings, unknown_variables
from tests.app.contract.synthesis import templates
from tests.app.support import ROOT
from tests.infra.synthesis import attributes, container, environment, every, the


def test_no_timeout_interrupts_a_request(service: Template, server: dict[str, str]) -> None:
    balancer = the(service, "AWS::ElasticLoadBalancingV2::LoadBalancer")
    idle = int(attributes(balancer, "LoadBalancerAttributes")["idle_timeout.timeout_seconds"])
    # Otherwise the server may close a connection just as the load balancer sends a request on it: a 502.
    assert idle < int(server["keepalive"])
    # Gunicorn's sync worker ignores keepalive, and a worker that retires closes its connections.
    assert server["worker_class"] == "gevent"
    assert server["max_requests"] == "0"
    # ECS drains a task before it stops it. The server must allow requests as long as the load balancer does.
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    drain = int(attributes(group, "TargetGroupAttributes")["deregistration_delay.timeout_seconds"])
    assert drain <= int(server["graceful_timeout"]) < container(service)["StopTimeout"]


def test_the_load_balancer_the_container_and_the_server_use_one_port(
    service: Template, dockerfile: dict[str, str], server: dict[str, str]
) -> None:
    (bind,) = ast.literal_eval(server["bind"])
    (mapping,) = container(service)["PortMappings"]
    group = the(service, "AWS::ElasticLoadBalancingV2::TargetGroup")
    (balancer,) = the(service, "AWS::ECS::Service")["LoadBalancers"]
    ports = {group["Port"], mapping["ContainerPort"], balancer["ContainerPort"], int(dockerfile["EXPOSE"])}
    assert ports == {int(bind.removeprefix("0.0.0.0:"))}


def test_the_task_runs_the_image_as_it_is_built(
    service: Template, dockerfile: dict[str, str], server: dict[str, str]
) -> None:
    task = container(service)
    assert task["User"] == dockerfile["USER"]
    assert not {"Command", "EntryPoint", "HealthCheck", "WorkingDirectory"} & task.keys()
    # The task's root file system is read-only, and it mounts no volume.
    assert server["worker_tmp_dir"] in {"/dev/shm", "None"}  # None on a machine without it, such as macOS
    assert server["control_socket_disable"] == "True"
    assert server["pidfile"] == "None"


@pytest.mark.parametrize("stage", ["dev", "prod", "playground"])
def test_the_service_accepts_every_variable_of_a_task(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = templates(stage).service
    secrets = {secret["Name"]: "x" * 40 for secret in container(service).get("Secrets", [])}
    for name, value in (environment(service) | secrets).items():
        monkeypatch.setenv(name, value)
    assert unknown_variables(environment(service) | secrets) == []
    settings = load_settings()
    assert bool(settings.moderator_token.get_secret_value()) == bool(secrets)
    assert settings.trusted_proxies == 1  # the load balancer
    assert settings.post_limit == ("60/minute" if stage == "dev" else ""), "where no web ACL limits posts"
    table = the(templates(stage).data, "AWS::DynamoDB::GlobalTable")["TableName"]
    assert settings.store == f"dynamodb://{table}"


def test_the_health_check_does_not_depend_on_the_store(service: Template) -> None:
    """A short outage of the store must not replace every task."""
    client = create_app(Settings(), Mock(spec=[])).test_client()
    for group in every(service, "AWS::ElasticLoadBalancingV2::TargetGroup"):
        response = client.get(group["HealthCheckPath"])
        assert str(response.status_code) == group["Matcher"]["HttpCode"]
        assert response.is_json


def test_the_base_image_and_trivy_are_pinned_and_found_by_renovate() -> None:
    managers = json.loads((ROOT / "renovate.json").read_text())["customManagers"]
    for manager, times in zip(managers, (2, 1, 3), strict=True):
        pattern = manager["matchStrings"][0].replace("(?<", "(?P<")
        texts = [file.read_text() for name in manager["managerFilePatterns"] for file in ROOT.glob(name)]
        found = [match.groups() for text in texts for match in re.finditer(pattern, text)]
        assert len(found) == times
        assert len(set(found)) == 1
