"""`make confirm`: its order, resuming, its report and its recording; tests/app/playground/ runs the whole command."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from unittest.mock import MagicMock, Mock

import pytest

from infra.config import WORKLOAD, stage_named
from release import confirm as module
from release import confirm_checks as checks
from release.aws import Aws
from release.command import NotReadyError, ReleaseError
from release.confirm import confirm, remember_original
from release.confirm_checks import Check, Copy, NotCheckedError
from release.evidence import Evidence, StoppedTask
from release.explain import explain
from release.recording import record, replay
from tests.release.account import ACCOUNT, REGION

RECORDED = json.loads((Path(__file__).parent / "recorded.json").read_text())


class Run:
    """Checks that succeed unless a test changes `outcomes`, and what they were called for."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.outcomes: dict[str, BaseException] = {}

    def check(self, name: str) -> Check:
        def made(_: Copy) -> str:
            self.made.append(name)
            if error := self.outcomes.get(name):
                raise error
            return "as it should"

        return Check(name, made, 60)

    def __call__(self, stage: str = "dev", *, yes: bool = True) -> int:
        self.made.clear()
        return confirm(stage_named(stage), release=Mock(), yes=yes)


@pytest.fixture
def deployed() -> Mock:
    """Whether there is a copy; at first not."""
    return Mock(return_value=None)


@pytest.fixture
def run(dev: Aws, deployed: Mock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    run = Run()
    made = tuple(run.check(name) for name in ("deploy", "rollout", "drift", "destroy"))
    for name, value in (("CHECKS", made), ("FIRST", made[0]), ("LAST", made[-1])):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "FOLDER", tmp_path / "confirm")
    monkeypatch.setattr(module, "describe", deployed)
    monkeypatch.setattr(module, "tag_of_working_tree", lambda **_: "0123456789ab")
    monkeypatch.setattr(Aws, "of", lambda _: dev)
    monkeypatch.setenv("CONFIRM_ENV", "")  # restored afterwards
    return run


def test_an_interrupted_run_names_both_ways_out_and_does_not_repeat_what_held(
    run: Run, deployed: Mock, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("deploy", "drift"):
        run.outcomes = {name: KeyboardInterrupt()}
        with pytest.raises(KeyboardInterrupt):
            run("prod")
        assert "run `make confirm ENV=prod` again to continue, or `make destroy ENV=confirm`" in capsys.readouterr().err
        deployed.return_value = "a stack"
    monkeypatch.delenv("CONFIRM_ENV")
    remember_original()  # as `make destroy ENV=confirm` does
    assert stage_named("confirm").copy_of == "prod"

    run.outcomes = {"drift": NotCheckedError("the reason")}
    assert run("prod") == 0
    assert run.made == ["drift", "destroy"]
    said = capsys.readouterr().out
    assert re.search(r"^not checked +0 +60  drift: the reason$", said, re.MULTILINE)
    assert said.endswith("3 held, 0 did not hold, 1 not checked\n")
    assert (tmp_path / "confirm" / "report.txt").read_text() in said
    with pytest.raises(NotReadyError, match="another stage or commit"):  # a finished run is not resumed
        run("prod")


def test_a_check_that_does_not_hold_fails_the_command_and_leaves_no_copy(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.outcomes["rollout"] = ReleaseError("3 of 9 requests failed", "a detail")
    assert run() == 1
    assert run.made == ["deploy", "rollout", "drift", "destroy"]
    said = capsys.readouterr().out
    assert "a detail" in said
    assert re.search(r"^did not hold +0 +60  rollout: 3 of 9 requests failed$", said, re.MULTILINE)


def test_a_failed_deployment_is_deleted_and_nothing_else_is_checked(run: Run, deployed: Mock) -> None:
    run.outcomes["deploy"] = ReleaseError("no room")
    run.outcomes["destroy"] = ReleaseError("it stays")
    assert run() == 1
    assert run.made == ["deploy", "destroy"]
    deployed.return_value = "a stack"
    run.outcomes.clear()
    assert run() == 0
    assert run.made == ["deploy", "rollout", "drift", "destroy"]


def test_nothing_is_changed_without_consent_nor_over_another_copy(run: Run, deployed: Mock) -> None:
    with pytest.raises(NotReadyError, match="answer yes on a terminal, or set YES=1"):
        run(yes=False)
    with pytest.raises(NotReadyError, match="confirm can't be confirmed: choose a stage"):
        run("confirm")
    deployed.return_value = "a stack"
    with pytest.raises(NotReadyError, match="another stage or commit: run `make destroy ENV=confirm` first"):
        run()
    assert run.made == []


def test_a_run_for_another_commit_or_stage_is_not_resumed(
    run: Run, deployed: Mock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.outcomes["drift"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        run()
    deployed.return_value = "a stack"
    with pytest.raises(NotReadyError, match="another stage or commit"):
        run("prod")
    monkeypatch.setattr(module, "tag_of_working_tree", lambda **_: "ffffffffffff")
    with pytest.raises(NotReadyError, match="another stage or commit"):
        run()


@pytest.fixture
def limited() -> Iterator[str]:
    """A server that limits posts as the web ACL does, after some."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.path)
            self.send_response(429 if len(seen) > 120 else 404)
            self.end_headers()
            self.wfile.write(json.dumps(WORKLOAD.limited_body).encode() if len(seen) > 120 else b"not found")

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def copy_of(aws: Aws) -> Copy:
    return Copy(aws, "0123456789ab", Mock(), Mock(), {})


def test_posts_are_limited_by_the_web_acl(dev: Aws, limited: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "base_url", lambda _: limited)
    monkeypatch.setattr(checks, "POLL_SECONDS", 0)
    assert checks.limit_posts(copy_of(dev)).startswith("limited after 150 posts")


@pytest.mark.parametrize("lost", [False, True])
def test_a_restored_table_has_what_was_written_before_and_is_deleted(
    dev: Aws, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    dynamodb = MagicMock()
    attributes = [{"AttributeName": "id", "AttributeType": "S"}, {"AttributeName": "of-an-index", "AttributeType": "N"}]
    keys = [{"AttributeName": "id", "KeyType": "HASH"}]
    dynamodb.describe_table.return_value = {"Table": {"AttributeDefinitions": attributes, "KeySchema": keys}}
    now = datetime.now(UTC)
    dynamodb.describe_continuous_backups.side_effect = [
        {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"LatestRestorableDateTime": at}}}
        for at in (now - timedelta(minutes=5), now + timedelta(minutes=5))
    ]
    dynamodb.get_item.return_value = {} if lost else {"Item": {"id": {"S": "confirm"}}}
    monkeypatch.setattr(Aws, "untyped", lambda *_: dynamodb)
    monkeypatch.setattr(checks, "POLL_SECONDS", 0)
    if lost:
        with pytest.raises(ReleaseError, match="notes-dev-pages-restored lacks the item"):
            checks.restore(copy_of(dev))
    else:
        assert checks.restore(copy_of(dev)) == "an item was restored from notes-dev-pages"
    called = [name for name, *_ in dynamodb.method_calls if name != "describe_continuous_backups"]
    assert called.index("put_item") < called.index("restore_table_to_point_in_time") < called.index("delete_table")
    assert dynamodb.describe_continuous_backups.call_count == 2, "the first one was older than the item"
    dynamodb.delete_table.assert_called_once_with(TableName="notes-dev-pages-restored")
    dynamodb.get_item.assert_called_with(TableName="notes-dev-pages-restored", Key={"id": {"S": "confirm"}})


def test_a_workload_without_tables_queries_and_an_address_has_less_to_check(
    dev: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "WORKLOAD", replace(WORKLOAD, owns=(), queries={}))
    for check, reason in (
        (checks.restore, "owns no table"),
        (checks.run_queries, "no saved queries"),
        (checks.send_alarm, "no alarm_email"),
    ):
        with pytest.raises(NotCheckedError, match=reason):
            check(copy_of(dev))


# ---- the recording ----


def texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return texts(list(value.values()))
    return [text for each in value for text in texts(each)] if isinstance(value, list) else [str(value)]


def test_the_recorded_failure_is_explained() -> None:
    recording = RECORDED["broken image"]
    explained = explain(replay(recording), recording["stack"])
    causes = [line for line in explained if line.startswith("cause: ")]
    assert causes == ["cause: the container web exits with status 1, 2 times: see its last log lines"]
    assert any("ECS Deployment Circuit Breaker was triggered" in line for line in explained)


def test_a_rollout_and_a_replaced_task_are_no_failures() -> None:
    assert not [line for line in explain(replay(RECORDED["rollout"]), []) if line.startswith("cause: ")]
    (task,) = RECORDED["stopped task"]["tasks"]
    assert task[:2] == ["UserInitiated", ["make confirm"]]


def test_a_recording_has_no_other_fields_and_identifies_nothing() -> None:
    uuid, path = "0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f", "/home/someone/project"
    arn = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/comments-dev:7"
    said = f"(task {uuid}) of {ACCOUNT}, ({arn}) at 10.0.3.4:8000, subnet-0123456789abcdef0, ecs-svc/0123, {path}, "
    said += f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/comments@sha256:{'0a' * 32}"
    task = StoppedTask("0a1b", "TaskFailedToStart", (said,), 1, log_lines=("a secret",))
    recording = record(Evidence([said], [said], [task], errors=["a secret"]), [said])
    assert "(task ID) of ID, (ARN) at ADDRESS:8000, ID, ecs-svc/ID, PATH, HOST" in recording["events"]
    for each in (recording, *RECORDED.values()):
        assert each.keys() == {"stack", "rollouts", "events", "tasks"}
        assert {len(task) for task in each["tasks"]} <= {3}
        for text in texts(each):
            assert not re.search(
                r"arn:|[0-9a-f]{12}|\d+\.\d+\.\d+\.\d+|/home|/tmp|/work|amazonaws|localhost|secret", text
            )
