"""Shared fixtures: a playground and its deployed service."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.config import STAGES
from infra.permissions import ISSUER
from playground.state import ACCOUNT, REGION, Playground, PlaygroundError, load_environment
from tests.machine import needs
from tests.playground.traffic import TALLIES

PROJECT = Path(__file__).resolve().parents[2]
NAME = "comments-playground"
TIMEOUT_SECONDS = 300.0
RELEASES = ("failures", "interruptions", "roles")
OPERATIONS = ("runbook", "cdk", "rollouts", "lifecycle")
"""Two groups of test files. The files of a group share a playground, in this order: later ones reuse earlier
deployments, and lifecycle removes it. Other tests come last, because these take longest."""
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
if WORKER:  # pytest-xdist runs several processes, and each needs a separate playground
    os.environ["PLAYGROUND_DIR"] = str(PROJECT / f".playground-{WORKER}")
    os.environ["PLAYGROUND_GATEWAY_PORT"] = str(4566 + WORKER)
    os.environ["PLAYGROUND_PORT"] = str(8080 + WORKER)


@pytest.hookimpl(tryfirst=True)  # before the other tests get their groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    order = [here / f"test_{name}.py" for name in (*RELEASES, *OPERATIONS)]
    items.sort(key=lambda item: order.index(item.path) if item.path in order else len(order))
    for item in items:
        if item.path in order:
            group = "releases" if item.path in order[: len(RELEASES)] else "operations"
            item.add_marker(pytest.mark.xdist_group(f"playground-{group}"))


@pytest.fixture(autouse=True)
def tallies(record_property: Callable[[str, object], None]) -> Iterator[None]:
    """Report how many requests a test sent to the load balancer."""
    yield
    for test, answered, failed in TALLIES:
        name = test.partition("::")[2].partition(" (")[0]
        record_property("requests", f"{answered:7,} answered {failed:5,} failed  {name}")
    TALLIES.clear()


def run(*command: str, env: Mapping[str, str], stderr: int = subprocess.STDOUT) -> subprocess.CompletedProcess[str]:
    """Run a command in the project; stdout has both streams, unless they are separated."""
    return subprocess.run(
        command,
        cwd=PROJECT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=2 * TIMEOUT_SECONDS,
        check=False,
    )


def playground_command(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "playground", name, env=os.environ | variables, stderr=subprocess.PIPE)


@pytest.fixture(scope="session")
def was_up(docker: None) -> bool:  # noqa: ARG001  # needs Docker
    """Whether a playground was already running; if so, the tests use it and leave it running."""
    needs((PROJECT / ".venv-playground/bin/python").exists(), "no .venv-playground: `make test` creates it")
    try:
        load_environment()
    except PlaygroundError:
        return False
    return True


@pytest.fixture(scope="session")
def playground(was_up: bool) -> Iterator[dict[str, str]]:
    """Yield the environment of a playground with the service deployed."""
    try:
        if not was_up:
            started = playground_command("up")
            assert started.returncode == 0, started.stdout + started.stderr
        yield load_environment()
    finally:
        if not was_up:
            assert playground_command("down").returncode == 0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_SECONDS:g} s in vain until {what}"
        time.sleep(0.3)


class Running:
    """A Python module in progress, started from a working copy, and the output read so far."""

    def __init__(self, module: str, *arguments: str, variables: Mapping[str, str], project: Path = PROJECT) -> None:
        # A test may change a module within the second that would mark its bytecode as current.
        environment = {**variables, "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", module, *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, cwd=project, env=environment, stdout=pipe, stderr=pipe, text=True)
        self.printed = ""

    def until(self, mark: str) -> str:
        """Read output up to the first line that contains `mark`, and return that line."""
        for line in self.process.stdout or ():
            self.printed += line
            if mark in line:
                return line
        raise AssertionError(f"ended without {mark!r}: {self.printed}{self.finished().stderr}")

    def finished(self) -> subprocess.CompletedProcess[str]:
        out, err = self.process.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess([], self.process.returncode, self.printed + out, err)


@dataclass
class Cloud:
    """A playground with the service deployed."""

    endpoint: str
    url: str
    environment: dict[str, str]
    folder: Path
    """Folder for the tests' files."""
    acknowledged: dict[int, list[str]] = field(default_factory=dict)
    """IDs of all comments that the service has confirmed to any test, by content_id."""
    workflows: dict[str, Path] = field(default_factory=dict)

    def client(self, name: str, **credentials: str) -> Any:
        given = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | credentials
        return boto3.client(name, endpoint_url=self.endpoint, region_name=REGION, **given)  # type: ignore[call-overload]  # dynamic name

    def service(self) -> dict[str, Any]:
        described = self.client("ecs").describe_services(cluster=NAME, services=[NAME])
        return dict(described["services"][0])

    def task_definition(self) -> dict[str, Any]:
        described = self.client("ecs").describe_task_definition(taskDefinition=self.service()["taskDefinition"])
        return dict(described["taskDefinition"])

    def outputs(self, stack: str) -> dict[str, str]:
        (described,) = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def healthy_targets(self) -> list[str]:
        """Return the addresses of the healthy targets."""
        group = self.service()["loadBalancers"][0]["targetGroupArn"]
        health = self.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [entry["Target"]["Id"] for entry in health if entry["TargetHealth"]["State"] == "healthy"]

    def containers(self) -> list[str]:
        """Return the IDs of the running containers, as reported by Docker."""
        label = f"label=cdk.playground={Playground.from_environment().folder}"
        return subprocess.check_output(["docker", "ps", "--quiet", "--no-trunc", "--filter", label], text=True).split()

    def settle(self) -> None:
        """Wait until the newest deployment is complete and the desired number of tasks is serving."""

        def settled() -> bool:
            service = self.service()
            (primary,) = [each for each in service["deployments"] if each["status"] == "PRIMARY"]
            if primary["rolloutState"] != "COMPLETED" or service["runningCount"] != service["desiredCount"]:
                return False
            return len(self.healthy_targets()) == len(self.containers()) == int(service["runningCount"])

        wait_until(settled, "all wanted tasks serve")

    def is_quiet(self) -> bool:
        """Whether no deployment alarm is firing; ECS ignores all alarms if one is firing at the start."""
        names = [f"{NAME}-5xx", f"{NAME}-latency"]
        alarms = self.client("cloudwatch").describe_alarms(AlarmNames=names)["MetricAlarms"]
        return all(alarm["StateValue"] != "ALARM" for alarm in alarms)

    def assume(self, role: str, web_identity: str) -> dict[str, str]:
        """Return a role's session credentials for boto3; raises ClientError if the role doesn't trust the token."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
        answer = self.client("sts").assume_role_with_web_identity(
            RoleArn=arn, RoleSessionName="workflow", WebIdentityToken=web_identity
        )
        given = answer["Credentials"]
        return {
            "aws_access_key_id": given["AccessKeyId"],
            "aws_secret_access_key": given["SecretAccessKey"],
            "aws_session_token": given["SessionToken"],
        }

    def under(self, role: str, run: str) -> dict[str, str]:
        """Return the environment of a GitHub workflow run that has assumed this role."""
        folder = self.workflows.get(role)
        if folder is None:
            folder = self.workflows[role] = self.folder / role
            folder.mkdir()
            credentials = {name.upper(): value for name, value in self.assume(role, token(run)).items()}
            # the CDK CLI caches account IDs by access key
            variables = self.environment | credentials | {"CDK_HOME": str(folder / "cdk")}
            (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        return os.environ | {"PLAYGROUND_DIR": str(folder)}

    def start_release(self, project: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> Running:
        """Start `make deploy` in a working copy, by default as a workflow with the dev role."""
        variables = variables or self.under("comments-deploy-dev", "environment:dev")
        return Running("release", *(arguments or ("playground",)), variables=variables, project=project)

    def release(
        self, project: Path, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a release like `start_release` and wait for it to finish."""
        return self.start_release(project, *arguments, variables=variables).finished()

    def cdk(self, *arguments: str, stage: str = "playground") -> subprocess.CompletedProcess[str]:
        """Run `cdk` with the playground's credentials; the first command for a stage synthesizes its templates."""
        nobody = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        folder = self.folder / f"cdk.out-{stage}"
        source = [f"--app={folder}"] if folder.exists() else [f"--output={folder}", f"--context=stage={stage}"]
        return run("cdk", *arguments, *source, "--no-color", "--no-notices", env=nobody | self.environment)

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a make target of the project."""
        outer = {"ARGS", "MAKEFLAGS", "MFLAGS"}
        return run("make", "-s", *arguments, env={name: os.environ[name] for name in os.environ.keys() - outer})


def token(run: str, **changed: str) -> str:
    """Return the OIDC token of a GitHub workflow run. The playground doesn't verify its signature."""
    repository = STAGES["playground"].github
    assert repository
    claims = {"iss": f"https://{ISSUER}", "sub": repository.subjects(run)[0], "aud": "sts.amazonaws.com"}
    claims |= {"repository_id": str(repository.repository_id), "repository": repository.name} | changed
    parts = ({"alg": "RS256", "typ": "JWT"}, claims | {"exp": int(time.time()) + 3600}, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


@pytest.fixture(scope="session")
def cloud(playground: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    folder = tmp_path_factory.mktemp("workflows")
    return Cloud(playground["AWS_ENDPOINT_URL"], playground["PLAYGROUND_URL"], playground, folder)


@dataclass
class Clone:
    """A clone of the project, to which tests commit changes for another version."""

    folder: Path

    def append(self, file: str, ending: str) -> None:
        path = self.folder / file
        path.write_text(path.read_text() + ending)
        self.commit()

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} no longer holds {old!r}"
        path.write_text(text.replace(old, new))
        self.commit()

    def commit(self) -> None:
        self.git("add", "--all")
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.com")
        self.git(*identity, "commit", "--quiet", "--allow-empty", "--message", "A change")

    def git(self, *arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=self.folder, check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path: Path) -> Callable[[str], Clone]:
    """Return a function that clones the project into a folder with the given name."""

    def make(name: str = "project") -> Clone:
        subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(tmp_path / name)], check=True)
        return Clone(tmp_path / name)

    return make


@pytest.fixture
def project(clone: Callable[[str], Clone]) -> Clone:
    return clone("project")
