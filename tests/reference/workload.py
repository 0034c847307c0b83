"""The workload of the tests: a notes app with a table and a secret."""

from collections.abc import Iterator, Mapping

from infra.model import REQUEST_ID, Failures, Owned, Response, Secret, Service, SmokeTest, Stage, Workload

TABLE = Owned(
    service=Service.DYNAMODB,
    name="pages",
    actions=("dynamodb:GetItem", "dynamodb:PutItem"),
    writes=0.1,
    reads=0.9,
    stored_kb=0.1,
)
KEY = Secret(name="key", variable="NOTES_KEY", description="Key that signs cookies", needs_https=True)


def environment(stage: Stage) -> Mapping[str, str]:
    return {"NOTES_TABLE": f"{stage.service}-pages", "NOTES_PROXIES": str(stage.trusted_proxies)}


def problems(stage: Stage) -> Iterator[str]:
    if dict(stage.settings).get("NOTES_PRIVATE") and not stage.https:
        yield "NOTES_PRIVATE needs HTTPS"


WORKLOAD = Workload(
    name="notes",
    description="notes app",
    image_files=("app", "Dockerfile"),
    container="web",
    port=5000,
    health_path="/up",
    before_rollout=("notes", "migrate"),
    environment=environment,
    metrics_variable="NOTES_METRICS",
    counts_failures=True,
    settings_prefix="NOTES_",
    problems=problems,
    secrets=(KEY,),
    owns=(TABLE,),
    smoke_tests=(
        SmokeTest(path="/up", expected=(Response(200, "^up$"),)),
        SmokeTest(path="/notes/none", expected=(Response(200), Response(404, "no such note"))),
    ),
    probe_path="/notes/none",
    failures=Failures(
        outage="no table: ",
        causes={
            r"(\S+): .*NotFound": r"the table \1 is missing: restore it",
            r"(?s)(.*)": r"the table doesn't respond: \1",
        },
        responses=(Response(503, "no table"),),
    ),
    queries={
        "one request": f'fields @message | filter request_id = "{REQUEST_ID}"',
        "one comment": 'filter id = "COMMENT-ID"',
        "failures": "filter status >= 500",
        "warnings and errors": 'filter level != "info"',
        "slowest requests": "sort duration_ms desc",
        "slowest routes": "stats pct(duration_ms, 99) by route",
        "responses by route": "stats count(*) by route, status",
        "deployment": "fields @message",
    },
)
