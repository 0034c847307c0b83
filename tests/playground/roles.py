"""Roles as a workflow on GitHub takes them on, and what becomes of a command when one of their permissions is gone."""

import base64
import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from infra.permissions import ISSUER, Trust
from infra.stages import STAGES, Repository
from playground.state import ACCOUNT
from tests.playground.cloud import PROJECT, Cloud

_GITHUB = STAGES["playground"].github
assert _GITHUB
REPOSITORY = _GITHUB
"""Whose workflows the playground's AccessStack trusts."""
Statement = dict[str, Any]


def token(
    run: str,
    *,
    repository: Repository = REPOSITORY,
    name_only: bool = False,
    audience: str = "sts.amazonaws.com",
    issuer: str = f"https://{ISSUER}",
    **changed: str | None,
) -> str:
    """Return what GitHub gives to a workflow run, without a valid signature: the playground reads none.

    `name_only` is the subject of older repositories. `changed` replaces claims, or removes those that are None.
    """
    subjects = replace(repository, accept_name_subject=True).subjects(run)
    claims = {"iss": issuer, "sub": subjects[name_only], "aud": audience}
    claims |= {"repository_id": str(repository.repository_id), "repository": repository.name}
    kept = {name: value for name, value in (claims | changed).items() if value is not None}
    parts = ({"alg": "RS256", "typ": "JWT"}, kept | {"exp": int(time.time()) + 3600}, "signature")
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)


def assume(cloud: Cloud, role: str, web_identity: str) -> dict[str, str]:
    """Return a session's credentials as variables; raise ClientError if the role does not trust the token."""
    config = Config(signature_version=UNSIGNED)
    sts = boto3.client("sts", endpoint_url=cloud.endpoint, region_name=cloud.session.region_name, config=config)
    answer = sts.assume_role_with_web_identity(
        RoleArn=f"arn:aws:iam::{ACCOUNT}:role/{role}", RoleSessionName="workflow", WebIdentityToken=web_identity
    )
    given = answer["Credentials"]
    return {
        "AWS_ACCESS_KEY_ID": given["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"],
        "AWS_SESSION_TOKEN": given["SessionToken"],
    }


@dataclass(frozen=True)
class Workflow:
    """A workflow run: the playground's addresses with a role's credentials in place of the administrator's."""

    role: str
    folder: Path

    @classmethod
    def begin(
        cls, role: str, folder: Path, *, playground: Mapping[str, str], credentials: Mapping[str, str]
    ) -> "Workflow":
        folder.mkdir(parents=True)
        variables = {**playground, **credentials, "CDK_HOME": str(folder / "cdk")}  # cdk remembers accounts by key
        (folder / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        return cls(role, folder)

    def run(self, *arguments: str, project: Path = PROJECT) -> subprocess.CompletedProcess[str]:
        """Run a module with its arguments as make does; both streams are one, as a person sees them."""
        variables = {
            "CDK_VALIDATION": "false",  # `make check` does that
            "PLAYGROUND_DIR": str(self.folder),
        }
        tools = [str(Path(sys.executable).parent), str(PROJECT / "node_modules" / ".bin"), os.environ["PATH"]]
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=project,
            env=os.environ | variables | {"PATH": os.pathsep.join(tools)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
            check=False,
        )


@contextmanager
def accepting_names(cloud: Cloud, trust: Trust) -> Iterator[None]:
    """Let a role accept subjects without IDs for a while, as accept_name_subject=True does."""
    iam = cloud.client("iam")
    document = iam.get_role(RoleName=trust.role)["Role"]["AssumeRolePolicyDocument"]
    changed = copy.deepcopy(document)
    subjects = [each for run in trust.subjects for each in replace(REPOSITORY, accept_name_subject=True).subjects(run)]
    changed["Statement"][0]["Condition"]["StringEquals"][f"{ISSUER}:sub"] = subjects
    iam.update_assume_role_policy(RoleName=trust.role, PolicyDocument=json.dumps(changed))
    try:
        yield
    finally:
        iam.update_assume_role_policy(RoleName=trust.role, PolicyDocument=json.dumps(document))


@contextmanager
def without(cloud: Cloud, role: str, action: str, *, of: str = "") -> Iterator[None]:
    """Take one action away from a role's policies for a while; with `of`, on the resources that contain it only."""
    iam = cloud.client("iam")
    documents = {
        name: iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    }
    reduced = {name: _reduced(document, lambda held: _less(held, action, of)) for name, document in documents.items()}
    assert reduced != documents, f"{role} has no {action}"
    _put(iam, role, reduced)
    try:
        yield
    finally:
        _put(iam, role, documents)


def actions_of(cloud: Cloud, role: str) -> set[str]:
    """Every action that the policies of a deployed role grant."""
    iam = cloud.client("iam")
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    return {action for document in documents for held in document["Statement"] for action in _list(held["Action"])}


def _reduced(document: dict[str, Any], less: Callable[[Statement], Statement | None]) -> dict[str, Any]:
    left = [found for held in copy.deepcopy(document["Statement"]) if (found := less(held))]
    return document | {"Statement": left}


def _less(held: Statement, action: str, of: str) -> Statement | None:
    actions, resources = _list(held["Action"]), _list(held["Resource"])
    if action not in actions:
        return held
    if of:
        kept = {"Resource": [resource for resource in resources if of not in resource]}
    else:
        kept = {"Action": [each for each in actions if each != action]}
    return held | kept if all(kept.values()) else None


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _put(iam: Any, role: str, documents: Mapping[str, Any]) -> None:
    for name, document in documents.items():
        iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=json.dumps(document))
