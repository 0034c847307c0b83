"""Files, ports and names of a playground, and the environment variables of its clients."""

import os
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = "000000000000"
REGION = "us-east-1"
LABEL = "cdk.playground"
"""Docker label on every container that a playground starts; its value is the playground's folder."""
ROOT = Path(__file__).resolve().parents[1]


class PlaygroundError(Exception):
    """An error that the user can fix; the message explains how."""


def port_from_environment(variable: str, default: int) -> int:
    """Read a TCP port from an environment variable."""
    text = os.environ.get(variable, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65536:  # noqa: PLR2004  # range of TCP ports
        raise PlaygroundError(f"{variable}={text!r} is not a port; use a number from 1 to 65535, or unset it")
    return int(text)


@dataclass(frozen=True)
class Playground:
    """A playground, identified by its folder."""

    folder: Path
    gateway_port: int
    load_balancer_port: int

    @classmethod
    def from_environment(cls) -> "Playground":
        """Build the playground described by PLAYGROUND_DIR, PLAYGROUND_GATEWAY_PORT and PLAYGROUND_PORT."""
        return cls(
            folder=Path(os.environ.get("PLAYGROUND_DIR") or ROOT / ".playground").resolve(),
            gateway_port=port_from_environment("PLAYGROUND_GATEWAY_PORT", 4566),
            load_balancer_port=port_from_environment("PLAYGROUND_PORT", 8080),
        )

    @property
    def environment_file(self) -> Path:
        return self.folder / "env"

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def engine_log_file(self) -> Path:
        return self.folder / "dynamodb.log"

    @property
    def bootstrapped_marker(self) -> Path:
        """Marker file that exists once the account has been prepared for CDK."""
        return self.folder / "prepared"

    @property
    def permissions_file(self) -> Path:
        """File that lists the role, action and resource of each permission used."""
        return self.folder / "permissions"

    @property
    def scratch(self) -> Path:
        return self.folder / "tmp"

    @property
    def label(self) -> str:
        return f"{LABEL}={self.folder}"

    @property
    def registry(self) -> str:
        return f"localhost:{self.gateway_port}"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.load_balancer_port}"

    def client_environment(self) -> dict[str, str]:
        """Return the variables for clients: local endpoints, and fake credentials that don't work on real AWS."""
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.gateway_port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",  # live tails would connect to stream-127.0.0.1
            "CDK_HOME": str(self.folder / "cdk"),
            "PLAYGROUND_URL": self.url,
            "PLAYGROUND_REGISTRY": self.registry,
        }

    def read_environment(self) -> dict[str, str]:
        """Parse the `env` file; returns an empty dictionary if it doesn't exist."""
        try:
            lines = self.environment_file.read_text().splitlines()
        except FileNotFoundError:
            return {}
        return dict(line.split("=", 1) for line in lines if "=" in line)

    def is_serving(self) -> bool:
        """Whether the AWS API responds at the address in the `env` file."""
        endpoint = self.read_environment().get("AWS_ENDPOINT_URL")
        if not endpoint:
            return False
        try:
            urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5).close()  # noqa: S310  # loopback
        except OSError:
            return False
        return True


def load_environment() -> dict[str, str]:
    """Return the environment variables of the running playground; raises PlaygroundError if none is running."""
    playground = Playground.from_environment()
    environment = playground.read_environment()
    if not environment:
        raise PlaygroundError(f"no playground in {playground.folder}; start one with `make playground`")
    missing = playground.client_environment().keys() - environment.keys()
    if missing:
        raise PlaygroundError(
            f"{playground.environment_file} lacks {', '.join(sorted(missing))}; "
            "run `make playground-down` and `make playground`"
        )
    if not playground.is_serving():
        raise PlaygroundError(
            f"the playground of {playground.folder} does not respond at {environment['AWS_ENDPOINT_URL']}; "
            "run `make playground-down` and `make playground`"
        )
    return environment
