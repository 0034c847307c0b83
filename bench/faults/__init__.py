"""What the service does when its store misbehaves: `python -m bench.faults`."""
