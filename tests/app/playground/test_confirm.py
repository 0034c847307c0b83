"""`make confirm` on a playground: what an emulator can show holds, the rest is not checked, and nothing is left."""

import json
import re

import pytest

from tests.app.playground.cloud import Cloud
from tests.repository import ROOT

HELD = (
    "deploy: responds at http://",
    "deploy again: nothing changed",
    r"rollout under load: 0 of \d+ requests failed",
    r"broken image: \d+ tasks run the previous image, 0 of .* cause: .* this image is broken on purpose",
    r"stopped task: \d+ tasks run again",
    "drift: no resource differs",
    "log: /comments/confirm/app has lines",
    "destroy: both stacks are gone",
)
NOT_CHECKED = (
    "email of an alarm: the playground sends no email",
    "posting limit: the playground evaluates no rules of WAF",
    "restored table: the playground has no point-in-time recovery",
    "saved queries: the playground has no CloudWatch Logs Insights",
)
RECORDED = json.loads((ROOT / "tests/release/recorded.json").read_text())


@pytest.mark.nightly
def test_a_copy_is_deployed_checked_and_deleted(cloud: Cloud) -> None:
    digest = cloud.outputs("CommentsService-playground")["DeployedDigest"]
    done = cloud.make("confirm", "ENV=playground", "YES=1")
    assert done.returncode == 0, done.stdout
    report = done.stdout.partition("seconds  estimate")[2]
    for seen in HELD:
        assert re.search(rf"^held +\d+ +\d+  {seen}", report, re.MULTILINE), report
    for seen in NOT_CHECKED:
        assert re.search(rf"^not checked +0 +\d+  {seen}", report, re.MULTILINE), report
    assert "8 held, 0 did not hold, 4 not checked" in report
    assert (ROOT / "build/confirm/report.txt").read_text() in done.stdout

    recording = json.loads((ROOT / "build/confirm/recording.json").read_text())
    assert {name: each.keys() for name, each in recording.items()} == {n: each.keys() for n, each in RECORDED.items()}
    stop_codes = [{code for code, *_ in each["broken image"]["tasks"]} for each in (recording, RECORDED)]
    assert stop_codes == [{"EssentialContainerExited"}] * 2

    stacks = cloud.client("cloudformation").describe_stacks()["Stacks"]
    assert [stack["StackName"] for stack in stacks if stack["StackName"].endswith("-confirm")] == []
    assert cloud.outputs("CommentsService-playground")["DeployedDigest"] == digest
    cloud.settle()  # with no other containers than those of this stage
