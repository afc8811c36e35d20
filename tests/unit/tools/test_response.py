"""A response is the same however its bytes arrive, and what is none says why."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.tools.response import BODY_BYTES, HEAD_BYTES, BadResponseError, Response, ResponseReader

GOOD = [
    (b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\n\r\n",
        b"abc0123456789",
    ),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x"),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
]
BAD = [
    b"HTTP/2 200 OK\r\n\r\n",
    b"SSH-2.0-OpenSSH_9.2\r\n",
    b"\x15\x03\x01\x00\x02\x02\x46",
    b"HTTP/1.1 999 No\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 20,
    b"HTTP/1.1 200 OK\r\nno field\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 2000,
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_BYTES,
]


def fed(pieces: list[bytes]) -> Response | None:
    reader = ResponseReader()
    return next((found for piece in pieces if (found := reader.feed(piece))), None)


@pytest.mark.parametrize(("data", "body"), GOOD)
def test_it_is_the_same_whole_and_byte_by_byte(data: bytes, body: bytes) -> None:
    whole = fed([data])
    assert whole is not None
    assert whole.body == body
    assert fed([bytes([byte]) for byte in data]) == whole


def test_without_a_length_it_lasts_to_the_end() -> None:
    response = fed([b"HTTP/1.0 200 OK\r\n\r\nab", b"c", b""])
    assert response is not None
    assert response.body == b"abc"


@pytest.mark.parametrize("data", BAD)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(BadResponseError, match=r"[a-z]"):
        fed([data])
    with pytest.raises(BadResponseError):
        fed([bytes([byte]) for byte in data])


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_a_connection_that_ends_early(data: bytes) -> None:
    with pytest.raises(BadResponseError, match="closed"):
        fed([data, b""] if data else [b""])


def test_a_body_without_an_end_has_a_limit() -> None:
    reader = ResponseReader()
    reader.feed(b"HTTP/1.1 200 OK\r\n\r\n")
    with pytest.raises(BadResponseError, match="longer than 64 MB"):
        for _ in range(BODY_BYTES // (1 << 20) + 1):
            reader.feed(b"x" * (1 << 20))


def test_json_says_so() -> None:
    response = fed([GOOD[0][0]])
    assert response is not None
    assert response.is_json
    assert not Response(200, {"content-type": "text/html"}, b"{}").is_json


@given(st.lists(st.binary(max_size=40) | st.sampled_from([piece for data, _ in GOOD for piece in data.split(b"\r\n")])))
def test_any_bytes_are_a_response_or_none(pieces: list[bytes]) -> None:
    with contextlib.suppress(BadResponseError):
        fed([*(piece + b"\r\n" for piece in pieces if piece), b""])
