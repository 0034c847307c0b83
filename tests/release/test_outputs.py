"""What the steps after a release read."""

from pathlib import Path

import pytest

from release.outputs import publish


def test_the_results_are_appended_for_the_next_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))
    (tmp_path / "output").write_text("before=1\n")
    publish(address="http://example.com", tag="dev-0123456789ab")
    assert (tmp_path / "output").read_text() == "before=1\naddress=http://example.com\ntag=dev-0123456789ab\n"


def test_outside_of_a_workflow_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)
    monkeypatch.chdir(tmp_path)
    publish(address="http://example.com")
    assert list(tmp_path.iterdir()) == []
