"""README and docs: links lead somewhere, the console session works as printed, and tables match the code."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from comments.config import PREFIX, Settings
from tests.app.support import ROOT, Serve
from tests.repository import git

README = (ROOT / "README.md").read_text()
CONFIGURATION = (ROOT / "docs/configuration.md").read_text()
TRACKED = git(ROOT, "ls-files").splitlines()


def anchors(document: Path) -> set[str]:
    """Return the anchors of a document's headings, as GitHub derives them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", [name for name in TRACKED if name.endswith(".md")])
def test_every_link_leads_to_a_file_and_a_heading(name: str) -> None:
    document = ROOT / name
    links = re.findall(r"""(?:\]\(|src="|srcset=")([^)"\s]+)""", document.read_text())
    for link in links:
        path, _, anchor = link.partition("#")
        if ":" in path or "…" in path:
            continue
        target = document.parent / path if path else document
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def stable(shown: str) -> Any:
    """Parse a response without the values that differ from run to run."""
    return json.loads(re.sub(r'("(?:id|created_at)": ?)"[^"]+"', r'\1""', shown))


def test_each_curl_call_of_the_readme_returns_what_it_shows(serve: Serve) -> None:
    server = serve()
    calls = re.findall(r"^\$ (curl .*)\n(.*)$", README, re.MULTILINE)
    assert len(calls) >= 3
    for call, shown in calls:
        command = call.replace("localhost:8000", f"127.0.0.1:{server.port}")
        ran = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True, timeout=30)
        assert stable(ran.stdout) == stable(shown), call


def test_every_setting_is_documented_and_no_other() -> None:
    documented = set(re.findall(rf"^\| `({PREFIX}[A-Z_]+)`", README + CONFIGURATION, re.MULTILINE))
    assert documented == {PREFIX + name.upper() for name in Settings.model_fields}


def test_every_custom_property_and_attribute_of_the_widget_is_documented() -> None:
    script = (ROOT / "app/comments/http/static/embed.js").read_text()
    documented = (ROOT / "docs/embedding.md").read_text()
    properties = set(re.findall(r"var\((--comments-[a-z]+)", script))
    assert properties == set(re.findall(r"`(--comments-[a-z]+)`", documented))
    for attribute in ("page", "content-id", "host", "theme"):
        assert f"| `data-{attribute}" in documented


def test_every_make_target_in_the_readme_exists() -> None:
    shown = set(re.findall(r"`make ([a-z-]+)", README))
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert shown <= set(re.findall(r"^make ([a-z-]+) ", listed, re.MULTILINE))
