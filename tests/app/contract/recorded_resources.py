"""What identifies a stage's resources, so that a later version can be compared with a release's.

For a release, and only then, `python -m tests.app.contract.recorded_resources` overwrites recorded_resources.json.
"""

import functools
import json
from pathlib import Path
from typing import Any

from tests.app.contract.synthesis import templates
from tests.infra.synthesis import CFN_LINT

FILE = Path(__file__).with_name("recorded_resources.json")
STAGES = ("dev", "prod", "playground")
_VERSIONED = {"AWS::ECS::TaskDefinition": {"Family"}}
"""Types of which every change makes a new version, with the properties that matter nevertheless."""

Entry = tuple[str, str, str, str]
"""Stack, logical ID and type of a resource, then its identifying properties as JSON, each with STAGE for the stage."""


@functools.cache
def identifying(kind: str) -> set[str]:
    """Return the properties that name a resource, or replace it when they change."""
    schemas = json.loads((CFN_LINT / "schemas/providers/us-east-1.json").read_text())
    schema = json.loads((CFN_LINT / "schemas/resources" / f"{schemas[kind]}.json").read_text())
    keys = ("createOnlyProperties", "conditionalCreateOnlyProperties", "primaryIdentifier")
    return _VERSIONED.get(kind) or {path.split("/")[2] for key in keys for path in schema.get(key, [])}


def entries() -> dict[Entry, list[str]]:
    """Return the resources with the stages that have them."""
    found: dict[Entry, list[str]] = {}
    for name in STAGES:
        each = templates(name)
        for stack, template in zip(("Access", "Registry", "Foundation", "Service"), each.all, strict=True):
            resources: dict[str, dict[str, Any]] = template.to_json()["Resources"]
            for logical, resource in resources.items():
                kind, properties = resource["Type"], resource.get("Properties", {})
                kept = {key: properties[key] for key in sorted(identifying(kind)) if key in properties}
                # CDK omits hyphens in some names.
                entry = [
                    part.replace(name, "STAGE").replace(name.replace("-", ""), "STAGE")
                    for part in (logical, json.dumps(kept))
                ]
                found.setdefault((stack, entry[0], kind, entry[1]), []).append(name)
    return found


def recorded() -> dict[Entry, list[str]]:
    """Return the entries of the last release."""
    rows = json.loads(FILE.read_text())
    return {(stack, logical, kind, json.dumps(kept)): stages for stack, logical, kind, kept, stages in rows}


def main() -> None:
    rows = [[*entry[:3], json.loads(entry[3]), stages] for entry, stages in sorted(entries().items())]
    FILE.write_text("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
