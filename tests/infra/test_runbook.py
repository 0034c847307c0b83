import re
from pathlib import Path

from tests.infra.synthesis import every, templates

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_every_alarm_has_a_section_in_the_runbook_and_no_section_lacks_its_alarm() -> None:
    sections = set(re.findall(r"^## (\S+)$", RUNBOOK.read_text(), re.MULTILINE))
    linked = set()
    for alarm in every(templates("prod").service, "AWS::CloudWatch::Alarm"):
        link = re.search(r"docs/operations\.md#(\S+)$", alarm["AlarmDescription"])
        assert link, alarm["AlarmName"]
        linked.add(link[1])
    assert sections == linked
