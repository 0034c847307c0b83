"""Stages on which the tests deploy the comment service; those of infra/stages.py may differ."""

from infra.model import Repository
from tests.reference.stages import STAGES

__all__ = ["GITHUB", "STAGES"]

GITHUB = Repository(name="example/comments", owner_id=1001, repository_id=2002)
