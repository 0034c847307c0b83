import re
from pathlib import Path

from infra.queries import QUERIES
from tests.infra.synthesis import every, templates

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def descriptions() -> dict[str, str]:
    """Return what tells people of trouble: alarms by name, and the rule for failed deployments."""
    service = templates("prod").service
    said = {alarm["AlarmName"]: alarm["AlarmDescription"] for alarm in every(service, "AWS::CloudWatch::Alarm")}
    return said | {rule["Name"]: rule["Description"] for rule in every(service, "AWS::Events::Rule")}


def test_every_alarm_has_a_section_in_the_runbook_and_no_section_lacks_its_alarm() -> None:
    sections = set(re.findall(r"^## (\S+)$", RUNBOOK.read_text(), re.MULTILINE))
    linked = set()
    for name, description in descriptions().items():
        link = re.search(r"docs/operations\.md#(\S+)$", description)
        assert link, name
        linked.add(link[1])
    assert sections == linked


def test_the_runbook_names_only_saved_queries_that_exist() -> None:
    named = set(re.findall(r"\*([a-z ]+)\*", RUNBOOK.read_text()))
    assert named
    assert named <= QUERIES.keys()
