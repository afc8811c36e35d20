"""The page as bytes: it is one file, and its policy lets a browser run that file and nothing else."""

import base64
import hashlib
import re
from typing import Final

import pytest

from waitressd.insight.answers import Query
from waitressd.insight.page import content_security_policy, page_endpoint, read_page

PAGE: Final = read_page()
TEXT: Final = PAGE.decode("utf-8")


def test_the_endpoint_answers_with_the_page() -> None:
    endpoint = page_endpoint()
    answer = endpoint.answer(Query("GET", "/", {}, ""))
    assert (endpoint.path, endpoint.group, endpoint.has_children) == ("/", "page", False)
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    assert b"".join(answer.body) == PAGE
    assert answer.fields == (("Content-Security-Policy", content_security_policy(PAGE)),)
    assert b"".join(answer.body) == b"".join(endpoint.answer(Query("GET", "/", {}, "")).body)  # the next one, too


def test_the_policy_allows_what_is_in_the_file_and_nothing_else() -> None:
    policy = dict(part.split(" ", 1) for part in content_security_policy(PAGE).split("; "))
    for kind in ("script", "style"):
        (text,) = re.findall(rf"<{kind}>(.*?)</{kind}>", TEXT, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy.pop(f"{kind}-src") == f"'sha256-{digest}'"
    none = dict.fromkeys(("default-src", "frame-ancestors", "base-uri", "form-action"), "'none'")
    assert policy == none | {"connect-src": "'self'", "img-src": "data:"}


def test_the_policy_of_a_page_with_two_scripts_has_two_hashes() -> None:
    policy = content_security_policy(b"<style>a</style><script>1</script><p></p><script>2</script>")
    assert len(re.findall(r"'sha256-[^']+'", policy.partition("script-src ")[2].partition(";")[0])) == 2


@pytest.mark.parametrize(
    "word",
    [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "DOMParser",
        "eval(",
        "new Function",
        "javascript:",
    ],
)
def test_text_never_becomes_markup(word: str) -> None:
    assert word not in TEXT


def test_nothing_comes_from_elsewhere() -> None:
    addresses = set(
        re.findall(r"\b(?:https?:)?//[\w.-]+[^\s'\"`]*", re.sub(r"^\s*//.*|[ ;]// .*", "", TEXT, flags=re.M))
    )
    assert addresses == {"http://www.w3.org/2000/svg"}  # the name of a kind of element
    assert not re.search(r"<(script|link|img|iframe)[^>]*\s(src|href)=\"(?!data:,\")", TEXT)
    assert "@import" not in TEXT
    assert "url(" not in TEXT


def test_no_element_has_code_or_style_of_its_own() -> None:
    """The policy would refuse it, and the browser would complain."""
    assert re.findall(r"<[^>]*\s(?:on\w+|style)=", TEXT.partition("<script>")[0]) == []


def test_each_section_has_a_heading_and_each_table_a_caption() -> None:
    assert TEXT.count("<table ") == TEXT.count("<caption")
    for section in re.findall(r"<section.*?</section>", TEXT, re.DOTALL):
        assert "<h2" in section
