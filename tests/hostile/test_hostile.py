"""What hostile requests get: an answer in our words or none, never a 5xx, and no line of the log that is not ours."""

import json
import unicodedata

import pytest

from tests.hostile.conftest import FRIEND
from tests.hostile.requests import ABOUT, HOSTILE
from tests.hostile.wire import exchange

OURS = {
    "access-control-allow-headers", "access-control-allow-methods", "access-control-allow-origin",
    "access-control-expose-headers", "access-control-max-age", "allow", "cache-control", "connection",
    "content-length", "content-security-policy", "content-type", "cross-origin-opener-policy", "date", "etag",
    "link", "referrer-policy", "retry-after", "server", "vary", "www-authenticate", "x-content-type-options",
    "x-request-id",
}  # fmt: skip
"""Every field that an answer may have; another one was put there by a visitor."""


def test_there_are_two_hundred_and_no_two_of_one_name():
    names = [(about, each.name) for about, group in ABOUT.items() for each in group]
    assert len(names) == len(set(names)) > 200


@pytest.mark.parametrize("about", ABOUT)
def test_each_gets_its_status_in_our_words_and_its_connection_ends_where_it_must(server, about):
    """One test a group, since a test of its own for each takes longer than the request."""
    found = {}
    for each in ABOUT[about]:
        answer, then = exchange(server.port, each)
        found[each.name] = (answer.status, then)
        assert {name.lower() for name, _ in answer.fields} <= OURS, each.name
        if answer.field("content-type") == "application/json":
            body = answer.json() if answer.body else None
            assert answer.status == 200 or body is None or body.keys() >= {"status", "message"}, each.name
        else:
            assert answer.status in {0, 200, 204}, each.name  # no answer, a page of ours, a preflight
        allowed = answer.field("access-control-allow-origin")
        assert allowed in {None, FRIEND}, each.name
        assert allowed is None or FRIEND.encode() in each.raw, each.name
    assert found == {each.name: (each.status, each.then) for each in ABOUT[about]}


def test_none_is_expected_to_be_a_failure_of_the_server():
    assert [each.name for each in HOSTILE if each.status >= 500] == []


def test_afterwards_the_server_answers_and_every_line_of_its_log_is_one_object_without_control_characters(server):
    for each in HOSTILE:  # again, so that this test does not depend on others
        exchange(server.port, each)
    assert server.healthy()
    server.process.terminate()  # so that the log is whole
    server.process.wait(30)
    *lines, rest = server.log.read_bytes().decode().split("\n")
    assert rest == ""
    assert len([line for line in lines if '"message":"request"' in line]) > 200
    for line in lines:
        read = json.loads(line)
        assert read.keys() >= {"time", "level", "message"}
        assert read["level"] not in {"error", "critical"}, line
        assert len(line) < 1500, line
        assert {unicodedata.category(character) for character in line} & {"Cc", "Cf", "Zl", "Zp"} == set(), line
        assert "mallory" not in line.replace(read.get("path", "-"), ""), line
