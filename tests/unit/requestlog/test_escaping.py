"""Text of strangers on one line of a log."""

import pytest

from waitressd.requestlog.escaping import MEMO_CHARACTERS, MEMO_ENTRIES, _escaped, escape, escape_word


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text/1.0 ~!#[]", "plain text/1.0 ~!#[]"),
        ("", ""),
        ('a"b', 'a\\"b'),
        ("a\\b", "a\\\\b"),
        ("a\r\nb\tc", "a\\x0d\\x0ab\\x09c"),
        ("\x00\x1b\x7f", "\\x00\\x1b\\x7f"),
        ("\xe9", "\\xe9"),
        ("\u2028", "\\u2028"),
        ("\U0001f600", "\\U0001f600"),
        ("\ud800", "\\ud800"),
    ],
)
def test_escape(text: str, expected: str) -> None:
    assert escape(text) == expected
    assert escape(text) == expected  # as remembered
    assert escape_word(text) == expected.replace(" ", "\\x20")


def test_the_memory_is_bounded() -> None:
    for number in range(3 * MEMO_ENTRIES):
        assert escape(f"text {number}") == f"text {number}"
    assert len(_escaped) <= MEMO_ENTRIES
    long = "x" * (MEMO_CHARACTERS + 1)
    assert escape(long) == long
    assert long not in _escaped
