"""Reusable constructs. Each takes plain keyword arguments and exposes what it creates; the stacks grant permissions."""
