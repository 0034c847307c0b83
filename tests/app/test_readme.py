"""The README works as it is written: its calls are run, its tables held against the code."""

import re
import subprocess
from dataclasses import fields

from comments.settings import PREFIX, Settings
from tests.app.conftest import ROOT

README = (ROOT / "README.md").read_text()
CHANGING = [
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), "ID"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
]


def constant(text: str) -> str:
    for pattern, name in CHANGING:
        text = pattern.sub(name, text)
    return text.strip()


def table(heading: str) -> list[str]:
    """Return the first cell of each row of the table under a heading."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("|")]
    return rows[2:]


def test_the_calls_print_what_the_readme_shows(serve):
    server = serve()
    calls = re.findall(r"^\$ (curl .*)\n(.*)$", README, re.MULTILINE)
    assert len(calls) == 5
    for call, shown in calls:
        command = call.replace("localhost:8000", f"127.0.0.1:{server.port}")
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
        assert constant(ran.stdout) == constant(shown)


def test_every_setting_is_in_the_table_and_nothing_else_of_ours():
    listed = {cell.strip("`") for cell in table("Settings")}
    ours = {name for name in listed if name.startswith(PREFIX)}
    assert ours == {PREFIX + each.name.upper() for each in fields(Settings)}


def test_every_command_of_the_table_is_a_target_that_make_lists():
    shown = {match for cell in table("Commands") for match in re.findall(r"make ([a-z-]+)", cell)}
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown == set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE)) - {"help", "setup"}
