"""Everything that reaches AWS, run as modules: `python -m infra.…`."""
