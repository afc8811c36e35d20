"""Every combination of Transfer-Encoding and Content-Length has one outcome, and only three are a framing."""

import pytest

from waitressd.http.errors import HttpError
from waitressd.http.framing import check_coding, decide_framing, parse_length


@pytest.mark.parametrize(
    ("version", "coding", "length", "expected"),
    [
        ("HTTP/1.1", None, None, 0),
        ("HTTP/1.0", None, None, 0),
        ("HTTP/1.1", None, "0", 0),
        ("HTTP/1.1", None, "5", 5),
        ("HTTP/1.0", None, "0005", 5),
        ("HTTP/1.1", "chunked", None, None),
    ],
)
def test_a_framing(version: str, coding: str | None, length: str | None, expected: int | None) -> None:
    assert decide_framing(version, coding, length, 100) == expected


@pytest.mark.parametrize(
    ("version", "coding", "length", "status"),
    [
        ("HTTP/1.1", "chunked", "5", 400),
        ("HTTP/1.1", "chunked", "0", 400),
        ("HTTP/1.1", "chunked", "x", 400),
        ("HTTP/1.1", "", "5", 400),
        ("HTTP/1.1", "", None, 400),
        ("HTTP/1.0", "chunked", None, 400),
        ("HTTP/1.0", "", None, 400),
        ("HTTP/1.0", "chunked", "5", 400),
        ("HTTP/1.1", None, "", 400),
        ("HTTP/1.1", None, "101", 413),
    ],
)
def test_no_framing(version: str, coding: str | None, length: str | None, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        decide_framing(version, coding, length, 100)
    assert caught.value.status == status


@pytest.mark.parametrize("value", ["chunked", "Chunked", "CHUNKED", "\t chunked \t"])
def test_the_one_coding(value: str) -> None:
    check_coding(value)


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 400), ("identity", 400), ("gzip", 400), ("chunked, gzip", 400), ("chunked, identity", 400),
        ("xchunked", 400),
        ("chunkedx", 400), ("chunked;q=1", 400), ("chunked, chunked", 400), (",chunked", 400), ("chunked,", 400),
        ("\x0bchunked", 400), ("chunked\x0b", 400), ("chun ked", 400), ('"chunked"', 400), ("chunked;a, chunked", 400),
        ("gzip chunked", 400), ("\xa0chunked", 400), ("gzip, chunked", 501), ("gzip;a=b, chunked", 501),
        ("gzip, chunked, chunked", 400), ("identity, chunked", 501), ("g(zip, chunked", 400),
    ],
)  # fmt: skip
def test_any_other_coding(value: str, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        check_coding(value)
    assert caught.value.status == status


@pytest.mark.parametrize(
    ("value", "length"), [("0", 0), ("1", 1), ("0005", 5), ("100", 100), ("000000000000000100", 100)]
)
def test_a_length(value: str, length: int) -> None:
    assert parse_length(value, 100) == length


@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("", 400), ("+5", 400), ("-5", 400), ("0x5", 400), ("1_0", 400), ("5 5", 400), ("5,5", 400), ("5, 5", 400),
        ("²", 400), ("\xa05", 400), ("\x0b5", 400), ("5\x0b", 400), ("5.0", 400), ("5\n", 400), ("five", 400),
        ("٣", 400),
        ("101", 413), ("99999999999999999999", 413), ("18446744073709551621", 413), ("9" * 5000, 413), ("0" * 19, 413),
    ],
)  # fmt: skip
def test_what_is_no_length(value: str, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        parse_length(value, 100)
    assert caught.value.status == status


def test_the_largest_number_that_is_looked_at() -> None:
    assert parse_length("9" * 18, 10**18) == 10**18 - 1
