import json
from typing import Any

from tests.infra.synthesis import environment, every, templates, the


def board(stage: str) -> list[dict[str, Any]]:
    """Return the widgets of the dashboard, references shown by name."""
    body = the(templates(stage).service, "AWS::CloudWatch::Dashboard")["DashboardBody"]
    parts = body["Fn::Join"][1]
    widgets: list[dict[str, Any]] = json.loads(
        "".join(part if isinstance(part, str) else str(next(iter(part.values()))).replace("'", "") for part in parts)
    )["widgets"]
    return widgets


def test_the_dashboard_finds_routes_by_a_search() -> None:
    """A new route needs no deployment. The namespace is the one of the task."""
    searches = [str(each["properties"].get("metrics")) for each in board("prod")]
    found = [each for each in searches if "SEARCH" in each]
    assert len(found) == 3
    namespace = environment(templates("prod").service)["COMMENTS_METRICS"]
    for each in found:
        assert f'{{"{namespace}",route}}' in each


def test_the_dashboard_shows_every_alarm() -> None:
    service = templates("prod").service
    body = str(the(service, "AWS::CloudWatch::Dashboard")["DashboardBody"])
    for logical in service.find_resources("AWS::CloudWatch::Alarm"):
        assert logical in body
    for stage in ("dev", "pr-5"):
        templates(stage).service.resource_count_is("AWS::CloudWatch::Dashboard", 0)


def test_the_lines_of_a_failed_request_are_one_saved_query_away() -> None:
    queries = {query["Name"]: query for query in every(templates("dev").service, "AWS::Logs::QueryDefinition")}
    assert "comments-dev/one request" in queries
    for query in queries.values():
        assert query["LogGroupNames"] == ["/comments/dev/app"]
