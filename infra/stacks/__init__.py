"""The four stacks: access to an account, the image registry, a stage's foundation, and its service."""
