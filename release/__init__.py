"""Releases the service to a stage: builds, deploys by digest, verifies, and explains failures."""
