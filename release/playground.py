"""The seam between a release and the playground: its addresses, and what a release does differently there."""

import os

from infra.model import Stage
from playground.state import PlaygroundError, load_environment
from release.command import NotReadyError


def set_variables() -> None:
    """Point clients and tools of this process to the running playground alone; raise NotReadyError if there is none."""
    try:
        variables = load_environment()
    except PlaygroundError as error:
        raise NotReadyError(str(error)) from None
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(variables, AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)


def registry_host() -> str:
    return os.environ["PLAYGROUND_REGISTRY"]


def base_url() -> str:
    """Return the address of the load balancer, whose name doesn't resolve."""
    return os.environ["PLAYGROUND_URL"]


def takes_uncommitted_changes(stage: Stage) -> bool:
    return stage.is_playground
