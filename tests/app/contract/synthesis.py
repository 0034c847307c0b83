"""Templates of the comment service's stages."""

from tests.infra.synthesis import Templates, templates_of

NOTIFYING = "tests.app.notifying"


def templates(stage: str, package: str = "tests.app.deployment") -> Templates:
    return templates_of(package, "Comments", stage)
