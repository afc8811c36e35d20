"""What is said about a word that may have meant another."""

import pytest

from waitressd.wording import assignment_hint, did_you_mean, trailing_comment


def test_a_near_word_is_suggested() -> None:
    assert did_you_mean("thread", ["threads", "port"]) == "; did you mean threads?"
    assert did_you_mean("xyz", ["threads", "port"]) == ""
    assert did_you_mean("waitresd", ["waitressd"], 0.99) == ""


@pytest.mark.parametrize(
    ("value", "comment"), [("4 # four", "# four"), ("4 ; four\nx", "; four\nx"), ("/a#b", ""), ("", "")]
)
def test_what_looks_like_a_comment(value: str, comment: str) -> None:
    assert trailing_comment(value) == comment


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("egg:waitressd\nlisten = *:80", "listen = *:80"),
        ("4\nthreads: 5", "threads: 5"),
        ("4\n  set x=1", ""),
        ("\nlocalhost:80\n127.0.0.1:81", ""),
        ("a = b", ""),
        (5, ""),
    ],
)
def test_a_line_that_looks_like_a_key_of_its_own(value: object, line: str) -> None:
    said = f" (the line '{line}' begins with blanks, so it is a part of this value: remove them)" if line else ""
    assert assignment_hint(value) == said
