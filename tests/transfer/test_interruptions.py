"""An export or import that ends early goes on, whatever ended it."""

import json
import resource
import signal
import subprocess
from contextlib import closing
from pathlib import Path
from unittest.mock import Mock

import pytest

from comments.store import open_store
from comments.transfer import TransferError
from comments.transfer.export import export_to_file
from comments.transfer.progress import Progress
from tests.app.conftest import wait_until
from tests.transfer.conftest import begun, export, fail, fill, run, some_comments, start


@pytest.fixture
def comments(store_url):
    made = some_comments(2_100)
    fill(store_url, made)
    return made


@pytest.mark.usefixtures("comments")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_export_says_how_to_go_on_and_loses_nothing(store_url, number, status):
    process = start("export", "--store", store_url)
    first = begun(process)  # it has begun, and waits until somebody reads the rest
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    first += out
    token = err.decode().rsplit("go on with --after ", 1)[1].strip()
    assert first.endswith(b"\n")
    status, rest, _ = run("export", "--store", store_url, "--after", token)
    assert status == 0
    whole = export(store_url)
    assert 0 < len(first) < len(whole)
    assert first + rest == whole


@pytest.mark.usefixtures("comments")
def test_an_export_killed_again_and_again_ends_complete(store_url, tmp_path):
    file, unfinished = tmp_path / "out.jsonl", tmp_path / "out.jsonl.resume"

    def exported():
        try:
            return json.loads(unfinished.read_bytes())["comments"]
        except FileNotFoundError:  # not begun, or finished a moment ago
            return -1

    killed_at = set()
    while len(killed_at) < 2:  # a fast one may have ended before it could be killed: once more
        file.unlink(missing_ok=True)
        while not file.exists() or unfinished.exists():
            before = exported()
            process = start("export", "--store", store_url, "--output", file)
            while process.poll() is None and exported() <= before:
                pass
            process.kill()
            process.communicate()
            if unfinished.exists():
                killed_at.add(exported())
                with file.open("ab") as torn:
                    torn.write(b'{"id":"01a2')
    assert file.read_bytes() == export(store_url)


@pytest.mark.usefixtures("comments")
def test_an_export_whose_disk_is_full_goes_on_where_there_is_room(store_url, tmp_path):
    file = tmp_path / "out.jsonl"
    limit = 400_000
    full = fail(
        "export",
        "--store",
        store_url,
        "--output",
        file,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert f"{file} cannot be written: File too large" in full
    assert file.stat().st_size == limit  # in the middle of a line
    assert "is not finished" in fail("import", file, "--store", store_url)
    status, _, err = run("export", "--store", store_url, "--output", file)
    assert status == 0
    assert "exported 2,100 comments" in err
    assert file.read_bytes() == export(store_url)


def test_an_export_that_ends_just_before_it_is_declared_finished_is_written_once(store_url, tmp_path, monkeypatch):
    fill(store_url, some_comments(1_200))
    file = tmp_path / "out.jsonl"
    with closing(open_store(store_url)) as store:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "unlink", Mock(side_effect=OSError("the machine stops here")))
            with pytest.raises(TransferError):
                export_to_file(store, store_url, file, Progress("exported"))
        assert file.read_bytes()
        export_to_file(store, store_url, file, Progress("exported"))
    assert file.read_bytes() == export(store_url)


def test_a_finished_export_and_any_other_file_are_left_alone(store_url, tmp_path):
    fill(store_url, some_comments(3))
    file = tmp_path / "out.jsonl"
    assert run("export", "--store", store_url, "--output", file)[0] == 0
    kept = file.read_bytes()
    assert "is not an unfinished export" in fail("export", "--store", store_url, "--output", file)
    assert file.read_bytes() == kept
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.jsonl"]


def test_an_export_goes_on_only_from_its_own_store_and_file(store_url, other_url, tmp_path):
    fill(store_url, some_comments(2_000))
    fill(other_url, [])
    process = start("export", "--store", store_url)
    begun(process)
    process.terminate()
    token = process.communicate(timeout=60)[1].decode().rsplit("--after ", 1)[1].strip()
    assert f"an export from {store_url}, not" in fail("export", "--store", other_url, "--after", token)
    for wrong in ("x", token[1:], token[:-3], "W10"):
        assert "--after must be the token" in fail("export", "--store", store_url, "--after", wrong)

    file, unfinished = tmp_path / "out.jsonl", tmp_path / "out.jsonl.resume"
    checkpoint = {"store": store_url, "after": None, "size": 10, "comments": 1}
    unfinished.write_text(json.dumps(checkpoint))
    assert f"was begun from {store_url}" in fail("export", "--store", other_url, "--output", file)
    assert "has 0 bytes but was exported up to 10" in fail("export", "--store", store_url, "--output", file)
    unfinished.write_text("{")
    assert "is damaged: remove it" in fail("export", "--store", store_url, "--output", file)


def test_a_reader_that_ends_first_is_told_of(store_url):
    fill(store_url, some_comments(2_000))
    process = start("export", "--store", store_url)
    begun(process)
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(60) == 1
    assert err == "error: the program that reads the output has ended before the export did\n"
    process.stdin.close()
    process.stderr.close()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_import_is_finished_by_the_next_one(store_url, number):
    comments = some_comments(1_300)
    data = b"".join(json.dumps(comment).encode() + b"\n" for comment in comments)
    fill(store_url, [])
    process = start("import", "-", "--store", store_url, stdin=subprocess.PIPE)
    process.stdin.write(b"".join(data.splitlines(keepends=True)[:700]))
    process.stdin.flush()

    def kept():
        with closing(open_store(store_url)) as store:
            return bool(store.scan(after=None, limit=1).comments)

    wait_until(kept, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert "run the same command again to go on; nothing is doubled" in err.decode()
    status, _, err = run("import", "-", "--store", store_url, stdin=data)
    assert status == 0
    assert "already there" in err
    exported = [json.loads(line) for line in export(store_url).splitlines()]
    assert sorted(map(str, exported)) == sorted(map(str, comments))
