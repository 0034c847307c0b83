"""Interrupted and concurrent releases always end in one complete deployment, without failed requests."""

import signal
from collections.abc import Callable

from tests.app.playground.cloud import Cloud, wait_until
from tests.app.playground.traffic import Traffic
from tests.repository import Clone

STEPS = {
    "preflight": "==> preflight",
    "build": "==> image",
    "push": "pushing ",
    "stacks": "==> service at ",
    "service": "==> service at ",
    "verify": "==> verify",
}
"""Output printed at the start of each step. The service step is interrupted in the middle of the rollout."""
INTERRUPTED = 130


def test_a_release_that_is_interrupted_at_any_step_is_finished_by_the_next(cloud: Cloud, project: Clone) -> None:
    project.append("app/api.py", "\n# interrupted\n")
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        for step, mark in STEPS.items():
            running = cloud.start_release(project.folder)
            running.until(mark)
            if step == "service":
                wait_until(lambda: len(cloud.service()["deployments"]) > 1, "the rollout has started")
            running.process.send_signal(signal.SIGINT)
            ended = running.finished()
            assert (step, ended.returncode) == (step, INTERRUPTED), ended.stdout + ended.stderr
            assert "interrupted" in ended.stderr
        finished = cloud.release(project.folder)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    assert traffic.failures == []


def test_concurrent_releases_end_in_one_complete_deployment(cloud: Cloud, clone: Callable[[str], Clone]) -> None:
    projects = [clone("one"), clone("two")]
    for project in projects:
        project.append("app/api.py", f"\n# {project.folder.name} at the same time\n")
    with Traffic(cloud.url, cloud.acknowledged) as traffic:
        both = [cloud.start_release(project.folder) for project in projects]
        pushed = [running.until("==> service at ").split()[-1] for running in both]
        ended = [running.finished() for running in both]
        cloud.settle()
    printed = "\n".join(each.stdout + each.stderr for each in ended)
    assert len(set(pushed)) == 2
    assert 0 in {each.returncode for each in ended}, printed
    assert "Traceback" not in printed
    assert traffic.failures == []
    deployed = cloud.outputs("CommentsService-playground")["DeployedDigest"]
    assert deployed in pushed
    assert images(cloud) == {deployed}
    last = ended[pushed.index(deployed)]
    assert last.returncode == 0, printed


def images(cloud: Cloud) -> set[str]:
    """Return the image digests of the running tasks."""
    ecs = cloud.client("ecs")
    arns = ecs.list_tasks(cluster="comments-playground", desiredStatus="RUNNING")["taskArns"]
    tasks = ecs.describe_tasks(cluster="comments-playground", tasks=arns)["tasks"]
    return {container["imageDigest"] for task in tasks for container in task["containers"]}
