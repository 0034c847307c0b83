import json

from tests.infra.synthesis import environment, every, templates, the, variant


def test_the_dashboard_finds_routes_by_a_search_and_shows_every_alarm() -> None:
    """A new route needs no deployment. The namespace is the one of the task."""
    service = templates("prod").service
    body = the(service, "AWS::CloudWatch::Dashboard")["DashboardBody"]["Fn::Join"][1]
    shown = "".join(part if isinstance(part, str) else "reference" for part in body)
    metrics = [str(widget["properties"].get("metrics")) for widget in json.loads(shown)["widgets"]]
    searches = [each for each in metrics if "SEARCH" in each]
    assert len(searches) == 3
    assert all(f'{{"{environment(service)["COMMENTS_METRICS"]}",route}}' in each for each in searches)
    without_metrics = variant("prod", route_metrics=False).service
    assert "SEARCH" not in str(the(without_metrics, "AWS::CloudWatch::Dashboard"))
    assert all(alarm in str(body) for alarm in service.find_resources("AWS::CloudWatch::Alarm"))


def test_the_lines_of_a_failed_request_are_one_saved_query_away() -> None:
    queries = every(templates("prod").service, "AWS::Logs::QueryDefinition")
    assert "comments-prod/one request" in {query["Name"] for query in queries}
    assert all(query["LogGroupNames"] == ["/comments/prod/app"] for query in queries)
