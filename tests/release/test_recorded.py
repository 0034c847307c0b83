"""What only AWS says, as others have recorded it: each text gives one line that says what it means and what to do."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from release.aws import explained
from release.causes import explain
from release.evidence import Container, Evidence, StoppedTask

MESSAGES = tomllib.loads((Path(__file__).parent / "recorded.toml").read_text())["message"]


def stopped(reason: str = "", *, container: str = "", exit_code: int | None = None, log: str = "") -> Evidence:
    task = StoppedTask(
        id="0a1b",
        stop_code="TaskFailedToStart" if exit_code is None else "EssentialContainerExited",
        reason=reason or "Essential container in task exited",
        containers=(Container("api", exit_code, container),),
        definition="comments-dev:1",
        log_lines=(log,) if log else (),
    )
    return Evidence(stopped={task.id: task})


def said_of(message: dict[str, Any]) -> list[str]:
    """Return the lines that a release prints when AWS says this."""
    text: str = message["text"]
    match message["through"]:
        case "task":
            return explain(stopped(text), [])
        case "container":
            return explain(stopped(container=text, exit_code=137), [])
        case "log":
            return explain(stopped(exit_code=1, log=text), [])
        case "event":
            return explain(Evidence(events=[text]), [])
        case "boto3":
            error = ClientError({"Error": {"Code": message["code"], "Message": text}}, "AssumeRole")
            return [f"cause: {explained(error).summary}"]
        case "stack" | "cdk":
            return explain(Evidence(), [text])
    raise AssertionError(f"{message['name']} comes through {message['through']}, which nothing reads")


@pytest.mark.parametrize("message", MESSAGES, ids=[message["name"] for message in MESSAGES])
def test_a_recorded_message_gives_one_cause_and_what_to_do(message: dict[str, Any]) -> None:
    said = said_of(message)
    assert [line for line in said if line.startswith("cause: ")] == [f"cause: {message['cause']}"]
    if message["through"] != "boto3":
        assert any(message["text"] in line for line in said), "AWS's own words are shown too"


def test_each_recorded_message_names_where_it_was_quoted() -> None:
    assert all(message["source"].startswith("https://") for message in MESSAGES)


def test_the_document_holds_each_recorded_message() -> None:
    document = (Path(__file__).parents[2] / "docs" / "failures.md").read_text()
    rows = [f"| {message['name']} | {message['cause']} |" for message in MESSAGES]
    assert [row for row in rows if row not in document] == []
