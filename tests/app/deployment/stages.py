"""Stages on which the tests deploy the comment service; those of infra/stages.py may differ."""

from dataclasses import replace

from infra.model import Repository
from playground.state import ACCOUNT
from tests.reference import stages

STAGES = stages.STAGES
PREVIEW = replace(stages.PREVIEW, account=ACCOUNT)
GITHUB = Repository(name="example/comments", owner_id=1001, repository_id=2002)
