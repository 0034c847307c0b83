"""Prints what GitHub's workflows need to know about stages, as outputs of a step: `python -m infra.workflows [STAGE]`.

With a stage, its account, which is empty if infra/stages.py has none. Otherwise, the matrix of the nightly drift check:
VARIABLES is a JSON object with the repository's variables, and a stage is checked if AWS_READ_ROLE_STAGE names a role.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping

from infra.config import STAGES, stage_named
from infra.model import ConfigurationError


def checked(variables: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield the name, role, account and region of each stage whose drift is checked."""
    for stage in STAGES.values():
        role = variables.get(f"AWS_READ_ROLE_{stage.name.upper().replace('-', '_')}")
        if role:
            region = stage.region or variables.get("AWS_REGION", "")
            yield {"stage": stage.name, "role": role, "account": stage.account or "", "region": region}


def main() -> None:
    if len(sys.argv) == 1:
        print("matrix=" + json.dumps(list(checked(json.loads(os.environ["VARIABLES"])))))
        return
    try:
        print(f"account={stage_named(sys.argv[1]).account or ''}")
    except ConfigurationError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
