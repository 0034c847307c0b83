"""Test selection for make quick, and the fixtures of all tests: Docker, a browser and an emulator of AWS."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.machine import needs
from tests.repository import nobody

# CDK's validation takes three quarters of a synthesis, and `make check` runs it. jsii's process inherits the variable.
os.environ["CDK_VALIDATION"] = "false"
# Tests never read the adopter's stages and workload. Commands that they start inherit the variable.
os.environ["CONFIG_PACKAGE"] = "tests.reference"
# In a workflow, commands print groups, and write outputs and a summary, which would be those of the run of the tests.
for name in ("GITHUB_ACTIONS", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"):
    os.environ.pop(name, None)

HERE = Path(__file__).parent

NOT_QUICK = {
    *("infra", "playground"),
    *(f"app/{name}" for name in ("bench", "contract", "image", "playground", "resilience", "web")),
    "app/test_schemathesis.py",
    *(f"release/test_{name}.py" for name in ("bootstrap", "destroy", "permissions", "scan")),
}
"""Folders and files that `make quick` leaves out: they need Docker, a browser, Node or Trivy, or minutes."""
ONE_GROUP = {"infra", "app/contract"}
"""Folders whose files share templates that take seconds to synthesize, so that one process of `make test` runs them."""
LONGEST = "playground/test_hello.py"
"""File that starts first, with the groups of tests/app/playground: at the end, it would leave other processes idle."""
NOT_QUICK_FIXTURES = {"browser", "docker", "dynamodb", "engine"}
"""Fixtures, and values of parametrized ones, that start a browser, a container, DynamoDB Local or MiniStack."""

CHROMIUM = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""Commands that start it, best first: the headless shell needs a third less CPU than the whole browser."""
CHROMIUM_OPTIONS = ["--font-render-hinting=none"]  # screenshots look the same on every machine


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="only tests that need no Docker, browser or Node")


def pytest_configure() -> None:
    tools = [str(Path(sys.executable).parent), str(HERE.parent / "node_modules/.bin")]  # as in the Makefile
    os.environ["PATH"] = os.pathsep.join([*tools, os.environ.get("PATH", os.defpath)])
    # A shell script's `make test &` ignores SIGINT, `nohup` SIGHUP, and processes that tests start would inherit that.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    if not config.getoption("--quick") or not collection_path.is_relative_to(HERE):
        return None
    path = collection_path.relative_to(HERE)
    return True if {each.as_posix() for each in (path, *path.parents)} & NOT_QUICK else None


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:  # `make test` runs each group in one process
        if not item.get_closest_marker("xdist_group"):
            path = item.path.relative_to(HERE)
            group = path.parent if path.parent.as_posix() in ONE_GROUP else path
            item.add_marker(pytest.mark.xdist_group(group.as_posix()))
    items.sort(key=lambda item: item.path != HERE / LONGEST)
    if not config.getoption("--quick"):
        return
    slow = [item for item in items if isinstance(item, pytest.Function) and _used(item) & NOT_QUICK_FIXTURES]
    config.hook.pytest_deselected(items=slow)
    items[:] = [item for item in items if item not in slow]


def _used(item: pytest.Function) -> set[str]:
    """Return the names of the fixtures of a test, and the values of its parameters that are names of fixtures."""
    parameters = getattr(item, "callspec", None)
    values = {value for value in parameters.params.values() if isinstance(value, str)} if parameters else set()
    return {*item.fixturenames, *values}


@pytest.fixture(scope="session")
def docker() -> None:
    """Skip the test if there is no Docker daemon."""
    needs(shutil.which("docker"), "Docker is not installed")
    info = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False)
    needs(info.returncode == 0, f"Docker does not work: {(info.stderr.strip().splitlines() or ['docker info'])[-1]}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, or the browser in the variable CHROMIUM. Playwright cannot be started twice in a process."""
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else CHROMIUM
    path = next((path for name in names if (path := shutil.which(name))), None)
    needs(path, f"no browser: none of {', '.join(names)} is installed; CHROMIUM may name another one")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """MiniStack as it comes, with nothing deployed, and the variables that lead to it as to a playground."""
    python = HERE.parent / ".venv-playground/bin/python"
    needs(python.exists(), "no .venv-playground: run `make test`, which makes it")
    folder = tmp_path_factory.mktemp("engine")
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file, port = listening.fileno(), listening.getsockname()[1]
        settings = {"GATEWAY_PORT": str(port), "STATE_DIR": str(folder), "TMPDIR": str(folder)}
        settings["IOT_MTLS_ENABLED"] = "0"  # it would listen on every address
        options = ["--workers=0", "--graceful-timeout=0", f"--bind=fd://{file}"]
        command = [str(python), "-m", "hypercorn", *options, "ministack.app:app"]
        server = subprocess.Popen(command, env=nobody(folder) | credentials | settings, pass_fds=[file])
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/_ministack/health", timeout=60).close()
        yield credentials | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "CDK_HOME": str(folder / "cdk"),
            "PLAYGROUND_URL": "http://127.0.0.1:1",
            "PLAYGROUND_REGISTRY": f"localhost:{port}",
        }
    finally:
        server.kill()
        server.wait()
