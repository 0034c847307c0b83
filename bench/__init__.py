"""Benchmarks that anyone can run: `make bench`."""

import sys
from pathlib import Path

# The service's own modules make the comments that are stored; they live in the image's folder.
sys.path.append(str(Path(__file__).resolve().parent.parent / "app"))
