"""Names, builds and pushes the image of a commit with git and Docker."""

import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.config import DEFAULT_STAGE, PROJECT, WORKLOAD
from release.aws import Aws
from release.command import ROOT, CommandError, NotReadyError, run
from release.display import note

IMAGE_TAG = re.compile(r"(?:[a-z][a-z0-9-]*-)?(?P<commit>[0-9a-f]{12}(?:-dirty-[0-9a-f]{8})?)")
_FILES_SHOWN = 10
_COMMITS_SHOWN = 15


def tag_of_working_tree(root: Path = ROOT, *, clean: bool) -> str:
    """Return the tag of the image: the commit, and a hash of uncommitted changes, so that it names one content.

    Raises NotReadyError if there is no commit, or if there are changes although the tree must be `clean`.
    """
    try:
        *_, commit = run(["git", "rev-parse", "--short=12", "--verify", "HEAD"], cwd=root)
    except CommandError as error:
        raise NotReadyError(
            "no git commit here: run this in a clone, because the image is named after its commit", *error.details
        ) from error
    commit = commit[:12]  # git prints more digits if 12 are ambiguous
    changed = _changed_files(root)
    if not changed:
        return commit
    if clean:
        raise NotReadyError(
            "uncommitted changes: only committed code is deployed; commit them, or run `git stash -u`",
            *(line[3:] for line in changed[:_FILES_SHOWN]),
            *([f"and {len(changed) - _FILES_SHOWN} more"] if len(changed) > _FILES_SHOWN else []),
        )
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-git-") as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}  # leaves the user's index as it is
        run(["git", "read-tree", "HEAD"], cwd=root, variables=index)  # with files that are tracked although ignored
        run(["git", "add", "--all", "."], cwd=root, variables=index)
        *_, tree = run(["git", "write-tree"], cwd=root, variables=index)
    return f"{commit}-dirty-{tree[:8]}"


def source_of_image(root: Path = ROOT) -> tuple[str, str]:
    """Return the last commit that changed the image's files, with `-dirty` for uncommitted changes, and its Unix time.

    With the current commit instead, a commit that doesn't change the image would miss Docker's build cache, and replace
    every task. Raises NotReadyError if a shallow clone doesn't have the commit: its image would differ.
    """
    log = ["git", "log", "-1", "--no-show-signature", "--format=%H %ct"]
    files = [f"{WORKLOAD.context}/{file}" for file in WORKLOAD.image_files]
    changed = _changed_files(root, *files)
    last = run([*log, "--", *files], cwd=root) or run(log, cwd=root)
    commit, time = last[-1].split()
    # A shallow clone lists the commits that it was cut at; git reports them as if they had added every file.
    boundary = root / run(["git", "rev-parse", "--git-path", "shallow"], cwd=root)[-1]
    if boundary.exists() and commit in boundary.read_text().split():
        raise NotReadyError(
            "this clone is shallow and lacks the commit that last changed the image, which the image records: run"
            " `git fetch --unshallow`; in a workflow, set fetch-depth: 0 of actions/checkout"
        )
    return commit[:12] + ("-dirty" if changed else ""), time


def _changed_files(root: Path, *files: str) -> list[str]:
    """Return uncommitted changes in the format of git, without its warnings."""
    status = ["git", "-c", "core.quotePath=false", "status", "--porcelain", "--untracked-files=all", "--", *files]
    return [line for line in run(status, cwd=root) if line[2:3] == " "]


def commit_in(tag: str) -> str:
    """Return the commit in an image's tag, `COMMIT` or `STAGE-COMMIT`; raise NotReadyError if there is none."""
    match = IMAGE_TAG.fullmatch(tag)
    if not match:
        raise NotReadyError(
            f"TAG={tag}: expected the 12 digits of a commit, as in 0123456789ab or {DEFAULT_STAGE}-0123456789ab"
        )
    return match["commit"]


def describe_change(stage: str, running: list[str], tag: str, *, root: Path = ROOT) -> Iterator[str]:
    """Yield the commits that a release of `tag` adds and undoes. `running` are the tags of the running image.

    An image that Docker built from its cache has the tags of several commits, so prefer one that the stage has run.
    """
    running = sorted(running, key=lambda each: not each.startswith(f"{stage}-"))
    commits = [match["commit"].partition("-")[0] for each in running if (match := IMAGE_TAG.fullmatch(each))]
    if not commits:
        return
    current, target = commits[0], commit_in(tag).partition("-")[0]
    yield f"from {current} to {target}; > are commits that this release adds, < those that it undoes:"
    try:
        log = run(
            ["git", "log", "--left-right", "--format=  %m %h %s", "--abbrev=12", f"{current}...{target}"], cwd=root
        )
        yield from log[:_COMMITS_SHOWN]
    except CommandError:
        yield "  can't list them, because this clone lacks one of them: run `git fetch`, if the repository has both"
    yield "only the image comes from that commit; the templates come from the commit that is checked out here"


def build(aws: Aws, tag: str) -> None:
    """Build the image of the working tree, which Docker keeps until it is pushed; raise CommandError.

    Raises NotReadyError if Docker's daemon doesn't respond.
    """
    try:
        run(["docker", "version", "--format={{.Server.Version}}"])
    except CommandError as error:
        raise NotReadyError("Docker's daemon does not respond: start it", *error.details[-1:]) from error
    commit, time = source_of_image()
    options = [f"--platform={aws.stage.architecture.value}", f"--tag={aws.image_name}:{tag}"]
    arguments = {WORKLOAD.commit_argument: commit, "BASE_IMAGE": os.environ.get("BASE_IMAGE")}
    options += [f"--build-arg={name}={value}" for name, value in arguments.items() if name and value]
    run(
        ["docker", "build", *options, WORKLOAD.context],
        variables={"BUILDKIT_PROGRESS": "plain", "SOURCE_DATE_EPOCH": time},  # the digest only depends on the layers
    )


def push(aws: Aws, tag: str) -> None:
    """Push the image; raise CommandError."""
    reference = f"{aws.image_name}:{tag}"
    note(f"pushing {reference}")
    context = run(["docker", "context", "inspect", "--format={{.Name}}"])[-1]
    with registry_login(aws) as variables:
        run(["docker", "push", reference], variables={**variables, "DOCKER_CONTEXT": context})


@contextmanager
def registry_login(aws: Aws) -> Iterator[dict[str, str]]:
    """Yield the variables for temporary access to the registry, without changing the user's Docker settings."""
    (authorization,) = aws.ecr.get_authorization_token(registryIds=[aws.registry_account])["authorizationData"]
    logins = {aws.image_name.partition("/")[0]: {"auth": authorization["authorizationToken"]}}
    with tempfile.TemporaryDirectory(prefix=f"{PROJECT}-docker-") as folder:
        (Path(folder) / "config.json").write_text(json.dumps({"auths": logins}))
        user = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker")
        (Path(folder) / "contexts").symlink_to((user / "contexts").absolute())  # addresses and keys of daemons
        yield {"DOCKER_CONFIG": folder}
