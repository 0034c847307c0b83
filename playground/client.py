"""Environment variables for clients of a running playground."""

import urllib.error
import urllib.request
from http import HTTPStatus

from playground.state import Playground, PlaygroundError


def load_environment() -> dict[str, str]:
    """Return the environment variables of the running playground; raises PlaygroundError if none is running."""
    playground = Playground.from_environment()
    environment = read_environment(playground)
    if not environment:
        raise PlaygroundError(f"no playground in {playground.folder}; start one with `make playground`")
    missing = playground.client_environment().keys() - environment.keys()
    if missing:
        raise PlaygroundError(
            f"{playground.environment_file} lacks {', '.join(sorted(missing))}; "
            "run `make playground-down` and `make playground`"
        )
    if not is_serving(environment["AWS_ENDPOINT_URL"]):
        raise PlaygroundError(
            f"the playground of {playground.folder} does not respond at {environment['AWS_ENDPOINT_URL']}; "
            "run `make playground-down` and `make playground`"
        )
    return environment


def read_environment(playground: Playground) -> dict[str, str]:
    """Parse the playground's `env` file; returns an empty dictionary if the file doesn't exist."""
    try:
        lines = playground.environment_file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def is_serving(endpoint: str) -> bool:
    """Whether a playground's gateway is serving at this endpoint."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5) as response:  # noqa: S310 - loopback
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
