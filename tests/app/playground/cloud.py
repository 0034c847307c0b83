"""The deployed service as tests use it: commands, clients of the AWS API, and tokens of workflows."""

import base64
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3

from infra.permissions import ISSUER
from playground.state import ACCOUNT, REGION, Playground
from tests.app.deployment.stages import GITHUB
from tests.repository import ROOT

NAME = "comments-playground"
TIMEOUT_SECONDS = 300.0
SERVICE = {"CONFIG_PACKAGE": "tests.app.deployment"}
"""Commands deploy the comment service; tests of the platform have another workload."""


def run(*command: str, env: Mapping[str, str], stderr: int = subprocess.STDOUT) -> subprocess.CompletedProcess[str]:
    """Run a command in the project; stdout has both streams, unless they are separated."""
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**env, **SERVICE},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        timeout=2 * TIMEOUT_SECONDS,
        check=False,
    )


def playground_command(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "playground", name, env=os.environ | variables, stderr=subprocess.PIPE)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {TIMEOUT_SECONDS:g} s in vain until {what}"
        time.sleep(0.3)


class Running:
    """A Python module in progress, started from a working copy, and the output read so far."""

    def __init__(self, module: str, *arguments: str, variables: Mapping[str, str], project: Path = ROOT) -> None:
        # A test may change a module within the second that would mark its bytecode as current.
        environment = {**variables, **SERVICE, "PYTHONDONTWRITEBYTECODE": "1"}
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

    def new_tasks(self, status: str) -> list[dict[str, Any]]:
        """Return the tasks of the newest deployment with this desired status."""
        ecs, (newest, *_) = self.client("ecs"), self.service()["deployments"]
        arns = ecs.list_tasks(cluster=NAME, desiredStatus=status)["taskArns"]
        tasks = ecs.describe_tasks(cluster=NAME, tasks=arns)["tasks"] if arns else []
        return [task for task in tasks if task["startedBy"] == newest["id"]]

    def task_definition(self) -> dict[str, Any]:
        described = self.client("ecs").describe_task_definition(taskDefinition=self.service()["taskDefinition"])
        return dict(described["taskDefinition"])

    def outputs(self, stack: str) -> dict[str, str]:
        (described,) = self.client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def targets(self, state: str) -> list[str]:
        """Return the addresses of the load balancer's targets in this state."""
        group = self.service()["loadBalancers"][0]["targetGroupArn"]
        health = self.client("elbv2").describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return [entry["Target"]["Id"] for entry in health if entry["TargetHealth"]["State"] == state]

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
            return len(self.targets("healthy")) == len(self.containers()) == int(service["runningCount"])

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
    claims = {"iss": f"https://{ISSUER}", "sub": GITHUB.subjects(run)[0], "aud": "sts.amazonaws.com"}
    claims |= {"repository_id": str(GITHUB.repository_id), "repository": GITHUB.name} | changed
    parts = ({"alg": "RS256", "typ": "JWT"}, claims | {"exp": int(time.time()) + 3600}, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
