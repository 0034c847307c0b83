"""What the server was started with, read once from the environment that `up` gives it."""

from dataclasses import dataclass

from playground.state import Playground, port_from_environment


@dataclass(frozen=True)
class Settings(Playground):
    """The playground that this server serves, and where its engine listens."""

    dynamodb_port: int


def _read() -> Settings:
    playground = Playground.from_environment()
    return Settings(
        folder=playground.folder,
        gateway_port=playground.gateway_port,
        balancer_port=playground.balancer_port,
        dynamodb_port=port_from_environment("PLAYGROUND_DYNAMODB_PORT", 8000),
    )


SETTINGS = _read()
