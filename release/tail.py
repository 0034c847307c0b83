"""What a stage's log holds that a release needs: the last lines of one task, and the errors of all."""

from __future__ import annotations

from release.aws import Aws

_ERRORS = '{ $.logger = "comments.errors" }'
"""Where the service writes why it answers a 5xx."""
_ERRORS_READ = 100


def tail(aws: Aws, *, task_id: str, definition: str, lines: int) -> tuple[str, ...]:
    """Return the last lines, oldest first; empty if the task never wrote one."""
    answer = aws.ecs.describe_task_definition(taskDefinition=definition)
    for container in answer["taskDefinition"]["containerDefinitions"]:
        options = container.get("logConfiguration", {}).get("options", {})
        if "awslogs-group" not in options:
            continue
        stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}"
        try:
            events = aws.logs.get_log_events(
                logGroupName=options["awslogs-group"], logStreamName=stream, limit=lines, startFromHead=False
            )["events"]
        except aws.logs.exceptions.ResourceNotFoundException:
            continue  # the stream begins with the first line
        if events:
            return tuple(event["message"].rstrip() for event in events)
    return ()


def errors(aws: Aws, *, since: float) -> tuple[str, ...]:
    """Return lines in which the service says why it failed, whichever task wrote them since then, in Unix time."""
    try:
        found = aws.logs.filter_log_events(
            logGroupName=aws.stage.app_log_group,
            startTime=int(since * 1000),
            filterPattern=_ERRORS,
            limit=_ERRORS_READ,
        )
    except aws.logs.exceptions.ResourceNotFoundException:
        return ()
    return tuple(event["message"].rstrip() for event in found["events"])
