"""Builds, deploys by digest, verifies, and explains a failure: `python -m release STAGE`."""
