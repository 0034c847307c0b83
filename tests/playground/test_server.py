"""The playground's server: its patches of MiniStack, and rollbacks triggered by alarms."""

import json
import subprocess

import pytest

from tests.machine import needs
from tests.repository import ROOT

PYTHON = ROOT / ".venv-playground/bin/python"

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
    ecs_deployment.check_alarms(service, deployment)
print(deployment["rolloutState"])
"""
"""Evaluates a deployment once for each list of firing alarms, then prints its rollout state."""


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
    assert under_ministack(DEPLOY, json.dumps(firing)) == f"{state}\n"


MATH = """
import json, sys
from playground.server.metric_math import evaluate

values = dict(zip(("requests", "failed"), json.loads(sys.argv[1])))
values = dict(zip(("requests", "failed"), json.loads(sys.argv[1])))
print(evaluate("IF(requests >= 100, 100 * failed / requests, 0)", values))
"""


@pytest.mark.parametrize(
    ("requests_and_failed", "percent"), [((200, 3), "1.5"), ((99, 99), "0.0"), ((200, None), "None"), ((0, 0), "0.0")]
)
def test_an_alarm_on_metric_math_has_the_value_of_cloudwatch(
    requests_and_failed: tuple[int, int | None], percent: str
) -> None:
    """A metric without data makes the expression have none, too."""
    assert under_ministack(MATH, json.dumps(requests_and_failed)) == f"{percent}\n"


def under_ministack(program: str, *arguments: str) -> str:
    """Run a Python program in the server's environment and return its output."""
    needs(PYTHON.exists(), "no .venv-playground: run `make test`, which makes it")
    command = [str(PYTHON), "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_readme_lists_every_patch() -> None:
    names = under_ministack(
        "import playground.server.__main__\nfrom playground.server.patching import PATCHES\nprint(*PATCHES)"
    ).split()
    readme = (ROOT / "playground" / "README.md").read_text()
    assert len(names) > 30
    assert [name for name in names if f"{name}`" not in readme] == []


@pytest.mark.parametrize("stock", ["def stop(task, reason, force): ...", "def end(task, reason): ..."])
def test_a_patch_of_a_function_that_has_changed_is_refused(stock: str) -> None:
    """Covers a renamed function and a changed parameter."""
    printed = under_ministack(
        "import sys, types\n"
        "from playground.server.patching import patch\n"
        "ecs = types.ModuleType('ecs')\n"
        "exec(sys.argv[1], vars(ecs))\n"
        "try:\n"
        "    @patch(ecs, 'stop', gap='it does not drain')\n"
        "    def stop(task, reason): ...\n"
        "except SystemExit as refused:\n"
        "    print(refused)",
        stock,
    )
    assert "stop" in printed
    assert "it does not drain" in printed
