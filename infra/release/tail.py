"""The last log lines of one task, found the way ECS names log streams."""

from __future__ import annotations

from infra.release.aws import Aws


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
