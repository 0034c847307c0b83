"""What the server was started with, read once from the environment that `up` gives it."""

from infra.playground.state import Playground

SETTINGS = Playground.from_environment()
