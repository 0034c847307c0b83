"""The canonical form of the address of a page, which is stored: the examples in tests/app/data never change."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comments.canonical import FIRST_ID, MAX_PAGE, PAGE, normalize, thread_of
from comments.fields import MAX_CONTENT_ID
from tests.app.support import ROOT

EXAMPLES = json.loads((ROOT / "tests/app/data/pages.json").read_text())


@pytest.mark.parametrize(("page", "canonical", "content_id"), EXAMPLES)
def test_pages_have_a_fixed_canonical_form_and_thread(page: str, canonical: str, content_id: int) -> None:
    assert re.fullmatch(PAGE, page)
    assert (normalize(page), thread_of(canonical)) == (canonical, content_id)


PART = st.sampled_from(
    [
        *("/", "a", "é", "e\u0301", "%", "%25", "%2F", "%3f", "%C3", "%A9", "%00", ".", "..", "index.html", "?", "p=1"),
        *("&", "#", ":", "//", " ", "%E2%80%8B", "%C2%85", "\U0001f600"),
    ]
)
PAGES = st.lists(PART, max_size=12).map("".join).map(lambda rest: f"/{rest.lstrip('/')}")


@given(st.sampled_from(["", "https://example.com", "//example.com:8080"]), PAGES)
def test_the_canonical_form_is_a_page_with_the_same_canonical_form(host: str, path: str) -> None:
    canonical = normalize(host + path)
    assert re.fullmatch(PAGE, canonical)
    assert normalize(canonical) == canonical
    assert FIRST_ID <= thread_of(canonical) <= MAX_CONTENT_ID
    assert MAX_PAGE == 1000
