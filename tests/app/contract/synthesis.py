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

PACKAGE = "tests.app.deployment"
STACKS = ("CommentsAccess", "CommentsRegistry", "CommentsFoundation-{}", "CommentsService-{}")


def run_module(module: str, *arguments: str, **variables: str) -> str:
    """Run a module of the platform with the comment service as its workload, and return its output."""
    nobody = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "CDK_"))}
    environment = nobody | {"CONFIG_PACKAGE": PACKAGE, "CDK_VALIDATION": "false"} | variables
    return subprocess.check_output([sys.executable, "-m", module, *arguments], cwd=ROOT, env=environment, text=True)


@functools.cache
def templates(stage: str, package: str = PACKAGE) -> Templates:
    with tempfile.TemporaryDirectory() as folder:
        context = json.dumps({"stage": stage})
        run_module("infra.app", CDK_CONTEXT_JSON=context, CDK_OUTDIR=folder, CONFIG_PACKAGE=package)
        files = [Path(folder) / f"{name.format(stage)}.template.json" for name in STACKS]
        return Templates(*(Template.from_json(json.loads(file.read_text())) for file in files))
