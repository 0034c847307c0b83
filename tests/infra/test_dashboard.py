import json
from typing import Any

from aws_cdk.assertions import Template

from tests.infra.synthesis import environment, every, templates, the


def service() -> Template:
    return templates("prod").service


def body() -> list[Any]:
    return list(the(service(), "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1])


def test_the_dashboard_finds_routes_by_a_search() -> None:
    """A new route needs no deployment. The namespace is the one of the task."""
    shown = "".join(part if isinstance(part, str) else "reference" for part in body())
    metrics = [str(widget["properties"].get("metrics")) for widget in json.loads(shown)["widgets"]]
    searches = [each for each in metrics if "SEARCH" in each]
    assert len(searches) == 3
    namespace = environment(service())["COMMENTS_METRICS"]
    for each in searches:
        assert f'{{"{namespace}",route}}' in each


def test_the_dashboard_shows_every_alarm() -> None:
    for logical in service().find_resources("AWS::CloudWatch::Alarm"):
        assert logical in str(body())


def test_the_lines_of_a_failed_request_are_one_saved_query_away() -> None:
    queries = {query["Name"]: query for query in every(service(), "AWS::Logs::QueryDefinition")}
    assert "comments-prod/one request" in queries
    for query in queries.values():
        assert query["LogGroupNames"] == ["/comments/prod/app"]
