"""Whatever comes, text comes out: one line, nothing that moves, and as wide as it says."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.tools import texts
from waitressd.tools.texts import CELL_CHARACTERS, fitted, harmless, padded, width_of

ANYTHING = st.text(st.characters(exclude_categories=()), max_size=300)
NASTY = [
    "\x1b[2J",
    "\x9b31m",
    "a\r\nb",
    "\u202egpj.exe",
    "\u2028",
    "\u200b",
    "e\u0301\u0301",
    "\ud800",
    "\0",
    "\u05d0",
    "\ue000",
]


def is_harmless(text: str) -> bool:
    return all(unicodedata.category(char)[0] in "LNPS" or char == " " for char in text) and not any(
        unicodedata.bidirectional(char) in ("R", "AL", "AN", "RLO", "RLE", "RLI") for char in text
    )


@given(ANYTHING | st.sampled_from(NASTY))
def test_any_text_becomes_harmless(text: str) -> None:
    shown = harmless(text)
    assert is_harmless(shown)
    assert harmless(shown) == shown or len(text) > CELL_CHARACTERS or len(shown) > CELL_CHARACTERS


@given(ANYTHING)
def test_an_output_that_knows_few_letters_gets_those_alone(text: str) -> None:
    for encoding in ("ascii", "latin-1", "cp1252"):
        harmless(text, encoding).encode(encoding)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /a b", "GET /a b"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\r\nb", "a\\r\\nb"),
        ("\u202egpj", "\\u202egpj"),
        ("\u05d0", "\\u05d0"),
        ("größe 東京", "größe 東京"),
        ("o\u0308", "ö"),
        ("\ud800", "\\ud800"),
    ],
)
def test_what_a_terminal_shows(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_a_megabyte_becomes_a_line() -> None:
    shown = harmless("/a" * (1 << 19) + "END")
    assert len(shown) == CELL_CHARACTERS
    assert shown.startswith("/a/a")
    assert shown.endswith("END")
    assert len(harmless("\x1b" * (1 << 20))) <= 4 * CELL_CHARACTERS


@given(ANYTHING, st.integers(0, 60))
def test_a_fitted_text_has_room(text: str, width: int) -> None:
    shown = harmless(text)
    cut = fitted(shown, width)
    assert width_of(cut) <= width
    assert cut == shown or width_of(shown) > width
    assert width_of(padded(cut, width)) == width
    assert width_of(padded(cut, width, right=True)) == width


def test_wide_letters_take_two_columns() -> None:
    assert width_of("東京") == 4
    assert fitted("東京都庁", 6) == "東京…"
    assert fitted("abcdef", 4, "...") == "abcd"
    assert fitted("abcdefghi", 7, texts.dots_for("ascii")) == "abcd..."


@pytest.mark.parametrize(
    ("function", "value", "shown"),
    [
        (texts.short_time, None, "-"),
        (texts.short_time, 0.00004, "40 us"),
        (texts.short_time, 0.0041, "4.1 ms"),
        (texts.short_time, 0.041, "41 ms"),
        (texts.short_time, 4.67, "4.67 s"),
        (texts.short_time, 41.34, "41.3 s"),
        (texts.long_time, None, "-"),
        (texts.long_time, 0.4, "0 s"),
        (texts.long_time, 273600, "3 d 4 h"),
        (texts.long_time, 3600, "1 h 0 min"),
        (texts.long_time, 72, "1 min 12 s"),
        (texts.tenths, None, "-"),
        (texts.tenths, 3.24, "3.2"),
        (texts.size, None, "-"),
        (texts.size, 0, "0 B"),
        (texts.size, 6291456, "6.0 MB"),
        (texts.size, 432013312, "412 MB"),
        (texts.size, 1 << 50, "1,048,576 GB"),
        (texts.number, None, "-"),
        (texts.number, 2431.0, "2,431"),
        (texts.number, 0.4, "0.4"),
        (texts.number, 3.0, "3"),
        (texts.percent, None, "-"),
        (texts.percent, 0.714, "71 %"),
    ],
)  # fmt: skip
def test_numbers_as_people_read_them(function: object, value: float | None, shown: str) -> None:
    assert callable(function)
    assert function(value) == shown


def test_bars_have_the_height_of_their_share() -> None:
    assert texts.sparkline([0, 1, 4, 8], 4) == "▁▂▅█"
    assert texts.sparkline([0, 1, 4, 8], 2) == "▅█"
    assert texts.sparkline([0, 8], 9, "ascii") == " #"
    assert texts.sparkline([], 9) == ""
    assert texts.sparkline([0.0, 0.0], 9) == "▁▁"


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)), st.integers(0, 40))
def test_bars_of_any_numbers_have_room(values: list[float], width: int) -> None:
    assert len(texts.sparkline(values, width)) == min(width, len(values))


@pytest.mark.parametrize(
    ("busy", "limit", "shown"),
    [
        (14, 16, "[#######.]"),
        (0, 16, "[........]"),
        (1, 1000, "[#.......]"),
        (99, 16, "[########]"),
        (1, 0, ""),
        (None, 4, ""),
    ],
)
def test_a_gauge_shows_what_is_in_use(busy: float | None, limit: float, shown: str) -> None:
    assert texts.gauge(busy, limit, 8) == shown


@pytest.mark.parametrize(
    ("value", "is_number"),
    [(1, True), (0.5, True), (True, False), ("1", False), (None, False), (float("nan"), False), (float("inf"), False)],
)
def test_what_is_a_number(value: object, *, is_number: bool) -> None:
    assert texts.is_number(value) is is_number
