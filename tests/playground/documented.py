"""What docs/failures.md says that a failure prints, and what one has printed, both without what differs each time."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "failures.md"

VARYING = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "TASK"),
    (r"ecs-svc/\w+", "ecs-svc/ID"),
    (r"sha256:[0-9a-f]{64}", "sha256:DIGEST"),
    (r"\b(?!0{12}|1{4}2{4}3{4})[0-9a-f]{12}(-dirty-[0-9a-f]{8})?\b", "COMMIT"),
    (r"assumed-role/\S+", "assumed-role/ROLE"),
    (r"localhost:\d+/", "REGISTRY/"),
    (r"127\.0\.0\.1:(?!8000)\d+", "ADDRESS"),
    (r"\b\d\d:\d\d:\d\d\b", "TIME"),
    (r"\b\d+(\.\d+)? ms\b", "N ms"),
    (r"\b\d+ tasks?\b", "N tasks"),
    (r"\.py:\d+", ".py:LINE"),
    (r"\(api: (no exit code|exit code 0)\)", "(api: STOPPED)"),  # one that was asked to stop may be on its way yet
    (r"/list/\d+", "/list/ID"),
    (r"\(?pid:? ?\d+\)?", "(pid N)"),
    (r"Api\w*Service\w{8} ", "ApiService "),
    (r"CommentsService-\w{2,}(?=[ )])", "TARGETS"),
)
LOG = re.compile("last log lines of task|last errors in the log")


def normalised(printed: str) -> list[str]:
    """Return the lines, of the log each once and sorted: two streams have no order."""
    for pattern, name in VARYING:
        printed = re.sub(pattern, name, printed)
    lines = printed.strip().splitlines()
    begin = next((at + 1 for at, line in enumerate(lines) if LOG.search(line)), len(lines))
    return [line.strip() for line in lines[:begin]] + sorted({line.strip() for line in lines[begin:]})


def agrees(printed: str, heading: str) -> bool:
    """Whether it is what the document says, whose log may go on where a task that was stopped has not ended yet."""
    said, wanted = normalised(printed), documented(heading)
    log = next((at + 1 for at, line in enumerate(wanted) if LOG.search(line)), len(wanted))
    return (
        said[:log] == wanted[:log] and set(said[log:]) <= set(wanted[log:]) and bool(said[log:]) == bool(wanted[log:])
    )


def documented(heading: str) -> list[str]:
    """Return the lines in the block below a heading."""
    _, _, section = DOCUMENT.read_text().partition(f"\n## {heading}\n")
    block = re.search(r"```text\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    return normalised(block[1]) if block else [f"docs/failures.md has no block below {heading!r}"]
