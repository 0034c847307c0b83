"""Lists the stages of the nightly drift check as a matrix of GitHub's workflow drift.yml: `python -m infra.drift`.

VARIABLES is a JSON object with the repository's variables. A stage is checked if AWS_READ_ROLE_STAGE names a role.
"""

import json
import os
from collections.abc import Iterator, Mapping

from infra.config import STAGES


def checked(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the name, role and region of each stage to check."""
    for stage in STAGES.values():
        role = variables.get(f"AWS_READ_ROLE_{stage.name.upper().replace('-', '_')}")
        if role:
            yield {"stage": stage.name, "role": role, "region": stage.region or variables.get("AWS_REGION", "")}


if __name__ == "__main__":
    print("matrix=" + json.dumps(list(checked(json.loads(os.environ["VARIABLES"])))))
