"""Set up before any test module imports aws_cdk, which starts jsii's process with the environment of that moment."""

import os

os.environ["CDK_VALIDATION"] = "false"  # three quarters of a synthesis; `make check` runs it
