"""Which deployments the playground's ECS rolls back on an alarm."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.machine import needs

PROJECT = Path(__file__).resolve().parents[2]
PYTHON = PROJECT / ".venv-playground/bin/python"

DEPLOY = """
import json, sys
from ministack.services import cloudwatch
from playground.server import ecs_deployment

service = {
    "serviceName": "api",
    "desiredCount": 1,
    "events": [],
    "deploymentConfiguration": {
        "alarms": {"alarmNames": ["5xx", "latency"], "enable": True, "rollback": True}
    },
}
earlier = {"id": "earlier", "status": "ACTIVE", "rolloutState": "COMPLETED", "taskDefinition": "api:1"}
deployment = {"id": "new", "status": "PRIMARY", "rolloutState": "IN_PROGRESS", "taskDefinition": "api:2"}
service["deployments"] = [deployment, earlier]
for firing in json.loads(sys.argv[1]):
    for name in ("5xx", "latency"):
        cloudwatch._alarms[name] = {"StateValue": "ALARM" if name in firing else "OK"}
    ecs_deployment.heed_alarms(service, deployment)
print(deployment["rolloutState"])
"""
"""A deployment that ECS looks at once for each list of firing alarms."""


@pytest.mark.parametrize(
    ("firing", "state"),
    [
        pytest.param([[], []], "IN_PROGRESS", id="none fires"),
        pytest.param([[], ["5xx"]], "FAILED", id="one begins to fire"),
        pytest.param([["latency"], ["latency", "5xx"]], "IN_PROGRESS", id="another fires from the start"),
        pytest.param([["5xx"], [], ["5xx"]], "IN_PROGRESS", id="it fires from the start, stops and fires again"),
    ],
)
def test_an_alarm_that_fires_when_a_deployment_starts_turns_all_of_them_off(
    firing: list[list[str]], state: str
) -> None:
    needs(PYTHON.exists(), "no .venv-playground: run `make test`, which makes it")
    done = subprocess.run(
        [str(PYTHON), "-c", DEPLOY, json.dumps(firing)], cwd=PROJECT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == (f"{state}\n", "")
