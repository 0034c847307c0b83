"""Your workload: a Flask app without a database. infra/model.py explains each field."""

from infra.model import Response, Secret, SmokeTest, Workload

WORKLOAD = Workload(
    name="hello",
    description="hello app",
    context="examples/hello",
    image_files=("app", "requirements.txt", "Dockerfile"),
    port=5000,
    health_path="/up",
    before_rollout=("python3", "-m", "flask", "--app=hello", "migrate"),
    settings_prefix="HELLO_",
    secrets=(Secret(name="key", variable="HELLO_KEY", description="Key that signs cookies"),),
    smoke_tests=(SmokeTest(path="/", expected=(Response(200, '"hello"'),)),),
    queries={"deployment": "fields @timestamp, @logStream, @message | sort @timestamp asc | limit 500"},
)
