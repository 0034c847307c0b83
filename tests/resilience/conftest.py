"""The service under faults: whatever is broken is on this machine, and nothing is mocked."""

from tests.app.conftest import dynamodb, serve

__all__ = ["dynamodb", "serve"]
