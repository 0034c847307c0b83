"""Measures what the service claims: `python -m bench [PART …]`, all parts without one, `--quick` to see that it works.

The table is printed and written to build/bench.md, with every number in build/bench.json and curves beside them.
Parts: traffic, start, image, synth; deployment takes a playground that is up. Exit status: 0 measured, 1 failed.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from bench import deployment, image, start, synth, traffic
from bench.curves import draw
from bench.machine import BUILD, WORK
from bench.report import Report
from bench.scale import FULL, QUICK, Scale

PARTS: dict[str, Callable[[Report, Scale], None]] = {
    "traffic": traffic.measure,
    "start": start.measure,
    "image": image.measure,
    "synth": synth.measure,
    "deployment": lambda report, _scale: deployment.measure(report),
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the service beside what others use.")
    parser.add_argument("parts", metavar="PART", nargs="*", choices=[*PARTS, []], help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a few seconds: shows that it works, not how fast")
    parser.add_argument("--output", metavar="FOLDER", type=Path, default=BUILD, help="default: build")
    options = parser.parse_args()
    scale = QUICK if options.quick else FULL
    WORK.mkdir(parents=True, exist_ok=True)
    options.output.mkdir(parents=True, exist_ok=True)
    report = Report()
    for part in options.parts or PARTS:
        began = time.monotonic()
        PARTS[part](report, scale)
        report.save(options.output)  # after each, so that an interrupted run leaves what it has
        print(f"{part}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    pictures = draw(report, options.output)
    print(report.markdown())
    written = ", ".join(("bench.md", "bench.json", *(picture.name for picture in pictures)))
    print(f"written to {options.output}: {written}", file=sys.stderr)


if __name__ == "__main__":
    main()
