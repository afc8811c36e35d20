"""Values to JSON."""

import json
import os
from collections.abc import Iterator

import pytest

import waitressd
from waitressd.config.adjustments import Adjustments
from waitressd.config.origins import Origin, Source
from waitressd.insight import documents
from waitressd.insight.documents import TEXT_CHARACTERS, Place, answer, head, pieces, place_of, text, without_user_info


def test_every_document_begins_alike() -> None:
    found = head(Place("shop", "2.0", 1, 4131), "serving", 1795662767.114)
    assert found == {
        "at": "2026-11-26T03:12:47.114Z",
        "server": "shop",
        "version": "2.0",
        "life": "serving",
        "workers": [{"worker": 1, "pid": 4131, "answered": True, "silent_seconds": 0.0, "figures": None}],
    }
    assert list(found) == ["at", "server", "version", "life", "workers"]


def test_a_server_is_called_as_its_folder() -> None:
    origin = Origin(Source.FILE, "/srv/shop/production.ini", 3, "server:main")
    adjustments = Adjustments.from_strings({"threads": "8"}, {"threads": origin})
    assert place_of(adjustments) == Place("shop", waitressd.__version__, 1, os.getpid())
    assert place_of(Adjustments.from_keywords(threads=8)).server == "waitressd"
    at_root = Adjustments.from_strings({"threads": "8"}, {"threads": Origin(Source.FILE, "/shop.ini")})
    assert place_of(at_root).server == "shop"


@pytest.mark.parametrize("rows", [0, 1, 2, 1000])
def test_a_document_in_pieces_is_the_document(rows: int) -> None:
    values = [{"id": f"1-{number}", "text": "x" * 50, "none": None} for number in range(rows)]
    document = {"first": 1.5, "rows": iter(values), "empty": iter(()), "last": {"a": [True]}}
    written = b"".join(pieces(document))
    assert json.loads(written) == {"first": 1.5, "rows": values, "empty": [], "last": {"a": [True]}}
    assert written.isascii()


def test_an_empty_document_and_one_that_ends_with_rows() -> None:
    assert json.loads(b"".join(pieces({}))) == {}
    assert json.loads(b"".join(pieces({"rows": iter([1])}))) == {"rows": [1]}


def test_rows_are_made_when_they_are_written() -> None:
    """So that a list of thousands never is there as a whole, and a piece takes as long as its own rows."""
    made = []

    def rows() -> Iterator[int]:
        for number in range(10_000):
            made.append(number)
            yield number

    parts = pieces({"rows": rows()})
    assert next(parts) == b"{"
    assert next(parts) == b'"rows": ['
    assert made == []
    first = next(parts)
    assert len(made) < 10_000
    assert json.loads(b"[" + first + b"]") == made


def test_members_follow_others() -> None:
    written = b"".join([b"{", *documents.members({"a": 1}), *documents.members({"b": iter([2])}, follows=True), b"}"])
    assert json.loads(written) == {"a": 1, "b": [2]}


HOSTILE = [
    ("plain", "plain"),
    ("\x00\x1b[2J\x7f\r\n", "\x00\x1b[2J\x7f\r\n"),
    ("half \ud800 of a pair \udcff", "half \\ud800 of a pair \\udcff"),
    ("\u202egnp.exe", "\u202egnp.exe"),
    ("\U0001f40d <script>&</script>", "\U0001f40d <script>&</script>"),
    ("x" * 1_000_000, "x" * (TEXT_CHARACTERS - 1) + "\u2026"),
    ("x" * TEXT_CHARACTERS, "x" * TEXT_CHARACTERS),
]


@pytest.mark.parametrize(("said", "shown"), HOSTILE)
def test_what_somebody_has_said_is_text_for_everybody(said: str, shown: str) -> None:
    assert text(said) == shown
    written = b"".join(pieces({"text": text(said), "rows": iter([text(said)])}))
    assert json.loads(written) == {"text": shown, "rows": [shown]}
    assert not set(written) & {*b"<>&\x7f\x1b\x00", *range(128, 256)}


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["list"], object()])
def test_what_is_no_text_is_unknown(value: object) -> None:
    assert text(value) is None


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("/path", "/path"),
        ("/mail/me@here", "/mail/me@here"),
        ("http://user:secret@host/path", "http://***@host/path"),
        ("//user@host", "//***@host"),
        ("redis://:p@ss@host/1 and amqp://a:b@c", "redis://***@host/1 and amqp://***@c"),
        ("http://host/@me", "http://host/@me"),
    ],
)
def test_no_url_shows_a_user(value: str, shown: str) -> None:
    assert without_user_info(value) == shown


def test_numbers_that_json_does_not_know_are_a_mistake() -> None:
    with pytest.raises(ValueError, match="Out of range"):
        list(pieces({"a": float("nan")}))


def test_an_answer() -> None:
    found = answer({"a": 1}, 404)
    assert (found.status, found.content_type, b"".join(found.body)) == (404, "application/json", b'{"a": 1}\n')
