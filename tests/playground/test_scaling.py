"""The service scales out under load and scales in afterwards, without failed requests."""

import json
import re

import pytest

from tests.playground.conftest import Cloud, wait_until
from tests.playground.traffic import Traffic, missing

SMALL_TARGET = "max_tasks=6, requests_per_target=300,"
"""Stage settings that scale at 5 requests per second per task, a rate that a client on two cores can send."""


@pytest.fixture
def small_target(cloud: Cloud, request: pytest.FixtureRequest) -> None:
    """Make the service scale at this load. The rollout tests have already released such a version under load."""
    stack = cloud.client("cloudformation").get_template(StackName="CommentsService-playground")
    if not re.search(r'"TargetValue": 300\b', json.dumps(stack["TemplateBody"])):
        project = request.getfixturevalue("project")
        project.replace("infra/stages.py", "max_tasks=6,", SMALL_TARGET)
        released = cloud.release(project.folder)
        assert released.returncode == 0, released.stdout + released.stderr


def load_for_five_tasks(cloud: Cloud) -> Traffic:
    """Return traffic of at most 24 requests per second."""
    return Traffic(cloud.url, cloud.acknowledged, clients=12, pause=0.5)


def tasks(cloud: Cloud) -> int:
    return int(cloud.service()["desiredCount"])


@pytest.mark.usefixtures("small_target")
def test_load_adds_tasks_which_are_removed_after_it(cloud: Cloud) -> None:
    with load_for_five_tasks(cloud) as load:
        wait_until(lambda: tasks(cloud) > 2, "requests per target have brought more tasks")
        cloud.settle()
        served = len(cloud.healthy_targets())
        load.flow_for(2)
    assert 2 < served < 6, "as many as the load needs, and not all that are allowed"
    with Traffic(cloud.url, cloud.acknowledged, clients=1, pause=0.3) as rest:
        wait_until(lambda: tasks(cloud) == 2, "fewer requests have removed tasks")
        cloud.settle()
    assert (load.failures, rest.failures) == ([], [])
    assert missing(cloud.url, cloud.acknowledged) == set()
