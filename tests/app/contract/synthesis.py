"""Templates of the comment service's stages, synthesized as `make synth` does."""

import functools
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from aws_cdk.assertions import Template

from tests.app.support import ROOT
from tests.infra.synthesis import Templates

DEPLOYMENT = "tests.app.deployment"
NOTIFYING = "tests.app.notifying"
STACKS = ("CommentsAccess", "CommentsRegistry", "CommentsFoundation-{}", "CommentsService-{}")


@functools.cache
def templates(stage: str, package: str = DEPLOYMENT) -> Templates:
    """Return the templates of a stage of the package, which has the comment service as its workload."""
    nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    with tempfile.TemporaryDirectory() as folder:
        cdk = {"CDK_CONTEXT_JSON": json.dumps({"stage": stage}), "CDK_OUTDIR": folder, "CDK_VALIDATION": "false"}
        variables = nobody | {"CONFIG_PACKAGE": package} | cdk
        subprocess.run([sys.executable, "-m", "infra.app"], cwd=ROOT, env=variables, check=True)
        files = [Path(folder) / f"{name.format(stage)}.template.json" for name in STACKS]
        return Templates(*(Template.from_json(json.loads(file.read_text())) for file in files))
