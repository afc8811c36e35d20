"""Kinds of values: what each takes, as text and as a Python value, and how it is shown."""

import math
from pathlib import Path
from typing import Any

import pytest

from waitressd import kinds
from waitressd.config.adjustments import SETTINGS
from waitressd.config.settings import Setting
from waitressd.kinds import BadValueError, Kind

TAKEN: list[tuple[Kind[Any], object, object]] = [
    (kinds.boolean(), "TRUE", True),
    (kinds.boolean(), "on", True),
    (kinds.boolean(), "t", True),
    (kinds.boolean(), "y", True),
    (kinds.boolean(), 1, True),
    (kinds.boolean(), " no ", False),
    (kinds.boolean(), "F", False),
    (kinds.boolean(), False, False),
    (kinds.integer(0, 9), "9", 9),
    (kinds.integer(0, 9), " 0 ", 0),
    (kinds.integer(0, 9), 5, 5),
    (kinds.integer(-5, 5), "-5", -5),
    (kinds.or_auto(kinds.integer(1, 9)), " Auto ", None),
    (kinds.or_auto(kinds.integer(1, 9)), None, None),
    (kinds.or_auto(kinds.integer(1, 9)), "9", 9),
    (kinds.or_auto(kinds.boolean()), "on", True),
    (kinds.or_auto(kinds.boolean()), False, False),
    (kinds.size(0), "65536", 65536),
    (kinds.size(0), "64K", 65536),
    (kinds.size(0), "64k", 65536),
    (kinds.size(0), "10M", 10 << 20),
    (kinds.size(0), "1G", 1 << 30),
    (kinds.size(0), "2T", 2 << 40),
    (kinds.size(0), 107374182400, 107374182400),
    (kinds.duration(0, 1000), "30", 30.0),
    (kinds.duration(0, 1000), "500ms", 0.5),
    (kinds.duration(0, 1000), "30s", 30.0),
    (kinds.duration(0, 1000), "2m", 120.0),
    (kinds.duration(0, 7200), "1h", 3600.0),
    (kinds.duration(0, 1000), "1.5", 1.5),
    (kinds.duration(0, 1000), 3, 3.0),
    (kinds.octal_mode(), "660", 0o660),
    (kinds.octal_mode(), "0o660", 0o660),
    (kinds.octal_mode(), "0660", 0o660),
    (kinds.octal_mode(), 0o660, 0o660),
    (kinds.one_of("http", "https"), "HTTPS", "https"),
    (kinds.header_text(), None, ""),
    (kinds.header_text(), " shop ", "shop"),
    (kinds.url_path(), "shop/", "/shop"),
    (kinds.url_path(), "/a/b", "/a/b"),
    (kinds.url_path(), "/", ""),
    (kinds.paths("files"), "/a.pem, /b.pem\n/a.pem", ("/a.pem", "/b.pem", "/a.pem")),
    (kinds.paths("files"), ["/a b.pem", Path("/c")], ("/a b.pem", "/c")),
    (kinds.paths("files"), Path("/a b.pem"), ("/a b.pem",)),
    (kinds.paths("files"), None, ()),
    (kinds.paths("files"), "a.pem", (f"{Path.cwd()}/a.pem",)),
    (kinds.path("a folder"), "", ""),
    (kinds.path("a folder"), None, ""),
    (kinds.path("a folder"), "/var/spool", "/var/spool"),
    (kinds.path("a folder"), "spool/../x", f"{Path.cwd()}/x"),
    (kinds.account(), "www-data:adm", "www-data:adm"),
    (kinds.account(), "1000", "1000"),
    (kinds.account(), "", ""),
    (kinds.some_of("a", "b"), "B, a", frozenset("ab")),
    (kinds.some_of("a", "b"), {"a"}, frozenset("a")),
    (kinds.some_of("a", "b"), "", frozenset()),
    (kinds.list_of("words", str.upper, "W"), "a b\nc,d a", ("A", "B", "C", "D")),
    (kinds.list_of("words", str.upper, "W"), ["a", 1], ("A", "1")),
]


@pytest.mark.parametrize(("kind", "value", "expected"), TAKEN)
def test_takes(kind: Kind[Any], value: object, expected: object) -> None:
    assert kind.parse(value) == expected
    assert type(kind.parse(value)) is type(expected)


REFUSED: list[tuple[Kind[Any], object]] = [
    (kinds.boolean(), "ture"),
    (kinds.boolean(), ""),
    (kinds.boolean(), 2),
    (kinds.boolean(), None),
    (kinds.or_auto(kinds.integer(1, 9)), ""),
    (kinds.or_auto(kinds.integer(1, 9)), "0"),
    (kinds.or_auto(kinds.boolean()), "automatic"),
    (kinds.integer(0, 9), "10"),
    (kinds.integer(0, 9), "-1"),
    (kinds.integer(0, 9), "1_0"),
    (kinds.integer(0, 9), "٣"),
    (kinds.integer(0, 9), "0x1"),
    (kinds.integer(0, 9), ""),
    (kinds.integer(0, 9), True),
    (kinds.integer(0, 9), 1.0),
    (kinds.integer(0, 9), "1" * 5000),
    (kinds.size(0), "10MB"),
    (kinds.size(0), "-1"),
    (kinds.size(0), "1.5M"),
    (kinds.size(0), "K"),
    (kinds.size(100), "99"),
    (kinds.size(0), True),
    (kinds.duration(1, 10), "0"),
    (kinds.duration(1, 10), "11"),
    (kinds.duration(1, 10), "5 s"),
    (kinds.duration(1, 10), "-5"),
    (kinds.duration(1, 10), "nan"),
    (kinds.duration(1, 10), math.nan),
    (kinds.duration(1, 10), math.inf),
    (kinds.duration(1, 10), True),
    (kinds.octal_mode(), "888"),
    (kinds.octal_mode(), "1777"),
    (kinds.octal_mode(), 660),
    (kinds.octal_mode(), -1),
    (kinds.octal_mode(), 0o1000),
    (kinds.one_of("http", "https"), "htps"),
    (kinds.one_of("http", "https"), 1),
    (kinds.header_text(), "a\r\nX: b"),
    (kinds.header_text(), "caf\xe9"),
    (kinds.header_text(), 7),
    (kinds.paths("files"), 4),
    (kinds.paths("files"), [4]),
    (kinds.paths("files"), ["a\0b"]),
    (kinds.url_path(), "/a b"),
    (kinds.url_path(), "/a?b"),
    (kinds.url_path(), None),
    (kinds.url_path(), "http://shop"),
    (kinds.url_path(), '"/shop"'),
    (kinds.path("a folder"), "a\0b"),
    (kinds.path("a folder"), 3),
    (kinds.path("a folder"), "/tmp # for now"),
    (kinds.account(), "a:b:c"),
    (kinds.account(), "a b"),
    (kinds.account(), 5),
    (kinds.some_of("a", "b"), "c"),
    (kinds.some_of("a", "b"), 5),
    (kinds.list_of("words", str.upper, "W"), b"bytes"),
]


@pytest.mark.parametrize(("kind", "value"), REFUSED)
def test_refuses(kind: Kind[Any], value: object) -> None:
    with pytest.raises(BadValueError):
        kind.parse(value)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (kinds.size(0), "10 MB", "expected a size in bytes, also like 64K, 10M or 1G; did you mean 10M?"),
        (kinds.octal_mode(), 660, "660 is a decimal number; write 0o660 or '660'"),
        (kinds.some_of("a", "b"), "a x y", "x: expected any of a, b; y: expected any of a, b"),
        (kinds.some_of("a", "b"), "x", "expected any of a, b"),
    ],
)
def test_some_refusals_say_more_than_the_words_of_the_kind(kind: Kind[Any], value: object, text: str) -> None:
    with pytest.raises(BadValueError) as caught:
        kind.parse(value)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"), [(0, "0"), (1023, "1023"), (1024, "1K"), (1536, "1536"), (3 << 30, "3G"), (1 << 40, "1T")]
)
def test_a_size_is_shown_with_the_largest_unit_that_divides_it(size_bytes: int, text: str) -> None:
    assert kinds.show_size(size_bytes) == text


@pytest.mark.parametrize(("seconds", "text"), [(30.0, "30"), (0.5, "0.5"), (2592000.0, "2592000")])
def test_seconds_are_shown_without_a_fraction_they_do_not_have(seconds: float, text: str) -> None:
    assert kinds.show_seconds(seconds) == text


TEXTUAL = [row for row in SETTINGS.values() if not row.kind.python_only]


@pytest.mark.parametrize("row", TEXTUAL, ids=lambda row: row.name)
def test_what_is_shown_can_be_read_again(row: Setting) -> None:
    assert row.kind.parse(row.kind.show(row.default)) == row.default


@pytest.mark.parametrize("row", TEXTUAL, ids=lambda row: row.name)
def test_a_default_is_a_value_that_its_kind_takes(row: Setting) -> None:
    assert row.kind.parse(row.default) == row.default
