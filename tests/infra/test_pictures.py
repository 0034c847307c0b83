import re
from xml.etree import ElementTree

import pytest

from infra.pictures import architecture, dashboard
from infra.pictures.__main__ import render
from infra.stages import stage_named
from tests.infra.synthesis import templates


@pytest.fixture(scope="module")
def pictures() -> dict[str, str]:
    return {file.name: text for file, text in render().items()}


def test_the_pictures_show_what_the_templates_say() -> None:
    for file, text in render().items():
        assert file.read_text() == text, f"run python -m infra.pictures and commit {file.name}"


@pytest.mark.parametrize("name", ["architecture.svg", "dashboard.svg"])
def test_a_picture_is_svg_with_a_name_that_is_read_aloud_and_follows_the_reader_into_the_dark(
    pictures: dict[str, str], name: str
) -> None:
    root = ElementTree.fromstring(pictures[name])
    assert root.attrib["aria-label"]
    assert "prefers-color-scheme: dark" in pictures[name]
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", pictures[name])  # nothing is fetched


def test_the_dashboard_shows_every_alarm_and_every_title(pictures: dict[str, str]) -> None:
    service = templates("prod").service.to_json()
    texts = {element.text for element in ElementTree.fromstring(pictures["dashboard.svg"]).iter() if element.text}
    for widget in dashboard.widgets(service):
        if widget["type"] == "metric":
            assert widget["properties"]["title"] in texts
    for alarm in architecture.of_type(service, "AWS::CloudWatch::Alarm"):
        assert alarm["AlarmName"] in texts


def test_a_stage_without_a_web_acl_is_drawn_without_one() -> None:
    def drawn(name: str) -> str:
        found = templates(name)
        stacks = architecture.Stacks(
            access=found.access.to_json(),
            registry=found.registry.to_json(),
            foundation=found.foundation.to_json(),
            service=found.service.to_json(),
        )
        return architecture.draw(stacks, stage=stage_named(name).name)

    assert "web ACL" in drawn("prod")
    assert "web ACL" not in drawn("dev")
