"""Writes docs/acknowledgements.md: every finding that is accepted in some stage, where, and why.

`python -m infra.acknowledgements` reads them out of the constructs, where each stands beside the code it is about.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import aws_cdk as cdk

from infra.base import ACKNOWLEDGED
from infra.checks import CHECKED
from infra.context import Context
from infra.main import compose
from infra.stages import Stage
from infra.target import Target

FILE = Path(__file__).resolve().parent.parent / "docs" / "acknowledgements.md"
_HEAD = """# Acknowledged findings

Written by `python -m infra.acknowledgements`; do not edit. The templates of every stage, and of every rollout, egress
and processor, are held against cdk-nag's AwsSolutions pack, checkov and cfn-lint by `make check`. What these find is
mended, or accepted beside the code with a reason, which is shown here.

| rule | where | reason |
|---|---|---|
"""


class Acknowledged(NamedTuple):
    """One accepted finding."""

    where: str
    rule: str
    reason: str


def acknowledged(stage: Stage) -> Iterator[Acknowledged]:
    """Yield what is accepted in the stacks of a stage."""
    app = cdk.App()
    compose(app, Context(stage=stage, github="example/comments"), Target(account=None, region=None))
    for construct in app.node.find_all():
        for entry in construct.node.metadata:
            if entry.type == ACKNOWLEDGED:
                place = _place(construct.node.path)
                yield from (Acknowledged(place, _rule(rule), reason) for rule, reason in entry.data.items())


def _place(path: str) -> str:
    """Return the path without the stage: CommentsService-dev/Api/Task becomes Service/Api/Task."""
    return re.sub(r"^Comments([A-Za-z]+)(-[^/]+)?", r"\1", path)


def _rule(rule: str) -> str:
    """Return the rule without what cdk-nag appends in brackets, which names resources of one template."""
    return rule.split("[", 1)[0]


def render() -> str:
    """Return the file's text."""
    found = {each for stage in CHECKED.values() for each in acknowledged(stage)}
    return _HEAD + "".join(f"| {each.rule} | {each.where} | {each.reason} |\n" for each in sorted(found))


if __name__ == "__main__":
    FILE.write_text(render())
