"""Draws docs/images/architecture.svg and dashboard.svg from prod's templates: `python -m infra.pictures`."""

from pathlib import Path

import aws_cdk as cdk

from infra.context import Context
from infra.main import compose
from infra.pictures import architecture, dashboard
from infra.stages import ACCESS_STACK, REGISTRY_STACK, STAGES
from infra.target import Target

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "images"
_STAGE = STAGES["prod"]


def render() -> dict[Path, str]:
    """Return the text of each picture by its file."""
    app = cdk.App()
    compose(app, Context(stage=_STAGE, github="example/comments"), Target(account=None, region=None))
    made = app.synth()
    names = (ACCESS_STACK, REGISTRY_STACK, _STAGE.foundation_stack, _STAGE.service_stack)
    access, registry, foundation, service = (made.get_stack_by_name(name).template for name in names)
    stacks = architecture.Stacks(access=access, registry=registry, foundation=foundation, service=service)
    return {
        FOLDER / "architecture.svg": architecture.draw(stacks, stage=_STAGE.name),
        FOLDER / "dashboard.svg": dashboard.draw(service),
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file, picture in render().items():
        file.write_text(picture)
