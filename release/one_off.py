"""Runs the workload's `before_rollout` command once, with a new image."""

from __future__ import annotations

import shlex
import time

from botocore.exceptions import ClientError, WaiterError

from infra.config import WORKLOAD
from release.aws import Aws
from release.aws_errors import explain_aws_error
from release.command import DeploymentError
from release.display import note
from release.evidence import Evidence, StoppedTask
from release.explain import explain
from release.logs import last_log_lines

LIMIT_SECONDS = 30 * 60
POLL_SECONDS = 2
_LOG_ATTEMPTS = 5
"""The last lines of a log may arrive seconds after the task has stopped."""


def run_before_rollout(aws: Aws, digest: str) -> None:
    """Run the command with the image `digest` and otherwise like a task of the running service, and print its log.

    Raises DeploymentError with the cause and the last log lines if it doesn't exit with status 0.
    """
    stage, ecs, command = aws.stage, aws.ecs, list(WORKLOAD.before_rollout)
    (service,) = ecs.describe_services(cluster=stage.cluster, services=[stage.service])["services"]
    running = ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]
    (container,) = (each for each in running["containerDefinitions"] if each["name"] == WORKLOAD.container)
    repository = container["image"].partition("@")[0]
    environment = {each["name"]: each["value"] for each in container["environment"]} | {"IMAGE_DIGEST": digest}
    definition = ecs.register_task_definition(
        family=f"{stage.service}-command",
        containerDefinitions=[
            {
                **container,
                "image": f"{repository}@{digest}",
                "command": command,
                "environment": [{"name": name, "value": value} for name, value in environment.items()],
            }
        ],
        taskRoleArn=running["taskRoleArn"],
        executionRoleArn=running["executionRoleArn"],
        networkMode="awsvpc",
        requiresCompatibilities=["FARGATE"],
        runtimePlatform=running["runtimePlatform"],
        cpu=running["cpu"],
        memory=running["memory"],
    )["taskDefinition"]
    started = ecs.run_task(
        cluster=stage.cluster,
        taskDefinition=definition["taskDefinitionArn"],
        launchType="FARGATE",  # never on Spot
        networkConfiguration=service["networkConfiguration"],
    )
    summary = f"`{shlex.join(command)}` failed before the rollout"
    if not started["tasks"]:
        events = [f"unable to place a task: {failure.get('reason')}" for failure in started["failures"]]
        raise DeploymentError(summary, *explain(Evidence(events=events), []))
    task = started["tasks"][0]["taskArn"]
    try:
        ecs.get_waiter("tasks_stopped").wait(
            cluster=stage.cluster,
            tasks=[task],
            WaiterConfig={"Delay": POLL_SECONDS, "MaxAttempts": LIMIT_SECONDS // POLL_SECONDS},
        )
    except WaiterError as error:
        advice = f"wait for it, or stop it with `aws ecs stop-task --cluster {stage.cluster} --task {task}`"
        if "Error" in error.last_response:
            why = explain_aws_error(ClientError(error.last_response, "DescribeTasks"))
            unknown = f"`{shlex.join(command)}` was started before the rollout, but its result is unknown"
            raise DeploymentError(unknown, why, f"it may still run: {advice}") from error
        limit = f"it still runs after {LIMIT_SECONDS / 60:.0f} minutes: {advice}"
        raise DeploymentError(summary, limit) from error
    (described,) = ecs.describe_tasks(cluster=stage.cluster, tasks=[task])["tasks"]
    stopped = StoppedTask.of(described)
    for _ in range(_LOG_ATTEMPTS):
        if stopped.log_lines or stopped.exit_code is None:
            break
        stopped.log_lines = last_log_lines(aws, stopped.id)
        time.sleep(0 if stopped.log_lines else 1)
    if stopped.exit_code != 0:
        raise DeploymentError(summary, *explain(Evidence(stopped=[stopped]), []))
    for line in stopped.log_lines:
        note(line)
