"""For everything that talks to a running playground: its environment, checked before it is used."""

import urllib.error
import urllib.request
from http import HTTPStatus

from playground.state import Playground, PlaygroundError


def load_environment() -> dict[str, str]:
    """The variables of the running playground; raises PlaygroundError when there is none."""
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
    if not answers(environment["AWS_ENDPOINT_URL"]):
        raise PlaygroundError(
            f"the playground of {playground.folder} does not answer at {environment['AWS_ENDPOINT_URL']}; "
            "run `make playground-down` and `make playground`"
        )
    return environment


def read_environment(playground: Playground) -> dict[str, str]:
    """Return what the file `env` says; nothing if there is none."""
    try:
        lines = playground.environment_file.read_text().splitlines()
    except FileNotFoundError:
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def answers(endpoint: str) -> bool:
    """Whether a playground's gateway serves at this address."""
    try:
        with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5) as response:  # noqa: S310 - loopback
            return bool(response.status == HTTPStatus.OK)
    except (urllib.error.URLError, OSError):
        return False
