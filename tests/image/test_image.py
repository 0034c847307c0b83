"""What is in the image, and how a container of it behaves."""

import json
import os
import shutil
import subprocess
import time
import urllib.request

from tests.image.conftest import BASE_IMAGE, ROOT, docker

DATA = ("--volume=/data", "--env=COMMENTS_STORE=sqlite:////data/comments.db")


def config(image):
    return json.loads(docker("image", "inspect", image))[0]


def test_our_layers_add_at_most_45_megabytes(image):
    assert config(image)["Size"] - config(BASE_IMAGE)["Size"] <= 45_000_000


def test_another_clone_builds_the_same_layers(image, tmp_path):
    """BuildKit then gives one commit one digest, the older builder still dates what describes the layers."""
    for name in ("Dockerfile", ".dockerignore", "requirements.txt"):
        shutil.copy2(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("data", "__pycache__"))
    for path in tmp_path.rglob("*.py"):
        path.chmod(0o600)  # a clone under umask 077
        os.utime(path, (0, 1_000_000_000))
    again = docker("build", "-q", "--no-cache", "--build-arg", f"BASE_IMAGE={BASE_IMAGE}", str(tmp_path))
    assert config(again.splitlines()[-1])["RootFS"]["Layers"] == config(image)["RootFS"]["Layers"]


def test_the_image_says_who_runs_it_and_how(image):
    settings = config(image)["Config"]
    assert settings["User"] == "10001:10001"
    assert settings["Cmd"] == ["gunicorn", "--bind", "0.0.0.0:8000", "api:app"]
    assert settings["ExposedPorts"] == {"8000/tcp": {}}
    assert settings["Healthcheck"]["Test"][0] == "CMD"


def test_the_image_starts_without_a_commit_to_show(image):
    """Compose builds it so; a release names the commit."""
    assert "COMMENTS_COMMIT=" in config(image)["Config"]["Env"]


def test_only_what_runs_is_in_the_image(image):
    listing = docker("run", "--rm", image, "find", "/srv/app", "/venv/bin", "-not", "-name", "*.pyc").splitlines()
    assert "/srv/app/api.py" in listing
    assert "/venv/bin/pip" not in listing
    for absent in ("/srv/app/data", "/srv/app/tests", "/srv/app/infra", "/srv/app/.git"):
        assert absent not in listing


def test_a_read_only_container_without_capabilities_keeps_comments_on_its_volume(run):
    _, url = run(*DATA)
    body = json.dumps({"email": "alice@example.com", "comment": "in a container", "content_id": 1}).encode()
    request = urllib.request.Request(f"{url}/api/comment/new", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(f"{url}/api/comment/list/1", timeout=10) as answer:
        assert [comment["comment"] for comment in json.load(answer)] == ["in a container"]


def test_the_standard_library_is_compiled_before_the_first_start(image):
    """Else every start of a read-only container compiles it again, for seconds on a quarter of a core."""
    compiled = docker("run", "--rm", image, "python3", "-c", "import json, os; print(os.path.exists(json.__cached__))")
    assert compiled == "True"


def test_the_container_becomes_healthy_by_its_own_check(run):
    container, _ = run(*DATA)
    end = time.monotonic() + 30
    while (status := docker("inspect", "-f", "{{.State.Health.Status}}", container)) != "healthy":
        assert time.monotonic() < end, status
        time.sleep(0.2)


def test_a_stop_ends_the_server_in_order(run):
    container, _ = run(*DATA)
    docker("stop", "--time=30", container)
    assert docker("inspect", "-f", "{{.State.ExitCode}}", container) == "0"
    assert '"level":"error"' not in docker("logs", container)


def test_without_a_place_to_write_the_container_ends_and_names_the_setting(image):
    command = ["docker", "run", "--rm", "--read-only", "--env=COMMENTS_STORE=sqlite:////none/comments.db", image]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode not in {0, 125, 126, 127}
    assert "error: COMMENTS_STORE: the folder /none does not exist" in ended.stderr
