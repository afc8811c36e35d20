"""Chunked bodies, element by element, and what one may cost."""

from typing import Any

import pytest

from tests.support.exchange import accepted, chunked, cut, exchange, head, refused
from waitressd.http.body import ChunkedDecoder, ChunkEvent, Phase
from waitressd.http.errors import HttpError
from waitressd.http.limits import Limits


@pytest.mark.parametrize(
    ("coded", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"000\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"1\r\nh\r\n3\r\nell\r\n1\r\no\r\n0\r\n\r\n", b"hello"),
        (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
        (b"00000005\r\nhello\r\n00\r\n\r\n", b"hello"),
        (b"0000000000000005\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
        (b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"0\r\n\r\n"),
        (b"3\r\n\x00\xff\n\r\n0\r\n\r\n", b"\x00\xff\n"),
        (b"5;a\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5;a=b;c\r\nhello\r\n0;d=e\r\n\r\n", b"hello"),
        (b'5;a="x;y \\" z"\r\nhello\r\n0\r\n\r\n', b"hello"),
        (b"5 ; a = b\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\t;\ta\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n", b"hello"),
        (b"0\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\nHost: b\r\n\r\n", b""),
        (b"0\r\nX-T:\r\nX_T: v\r\nX-T: caf\xe9\r\n\r\n", b""),
    ],
)
def test_a_chunked_body(coded: bytes, body: bytes) -> None:
    request, decoded = accepted(chunked(coded))
    assert decoded == body
    assert request.fields == {"HTTP_HOST": "a.test"}


@pytest.mark.parametrize(
    "coded",
    [
        # sizes
        b"\r\nhello\r\n", b"0x5\r\nhello\r\n", b"+5\r\nhello\r\n", b"-5\r\nhello\r\n", b"1_0\r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5 \r\nhello\r\n", b"5\t\r\nhello\r\n", b"5\x00\r\nhello\r\n", b"\xb2\r\nhello\r\n", b"zz\r\nhello\r\n",
        b"g\r\n",
        b"5\r\r\nhello\r\n", b"5\nhello\r\n", b"5\rhello\r\n", b"5\x0b\r\nhello\r\n", b"10000000000000005\r\nhello\r\n",
        b"00000000000000005\r\nhello\r\n", b"\r\n5\r\nhello\r\n", b"\n", b"\r", b";a\r\n", b"5.0\r\n",
        # extensions
        b"5;\r\nhello\r\n", b"5;=b\r\nhello\r\n", b"5;a=\r\nhello\r\n", b"5;a b\r\nhello\r\n", b"5;a\x00b\r\nhello\r\n",
        b"5;a\rb\r\nhello\r\n", b"5;a\nb\r\nhello\r\n", b'5;a="b\r\nhello\r\n', b"5;a \r\nhello\r\n",
        b"5,a\r\nhello\r\n",
        b'5;a="\r\n"\r\nhello\r\n', b"5;\xe9\r\nhello\r\n",
        # data
        b"6\r\nhello\r\n0\r\n\r\n", b"4\r\nhello\r\n0\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"5\r\nhello\n0\n\r\n",
        b"5\r\nhello\r0",
        b"5\r\nhello\r\r\n", b"5\r\nhello\r\n\r\n0\r\n\r\n", b"5\r\nhello \r\n0\r\n\r\n", b"5\nhello\n0\n\n",
        # trailers
        b"0\r\nnocolon\r\n\r\n", b"0\r\n: v\r\n\r\n", b"0\r\n X: v\r\n\r\n", b"0\r\nX: v\r\n w\r\n\r\n",
        b"0\r\nX : v\r\n\r\n",
        b"0\r\nX: a\x00\r\n\r\n", b"0\r\nX: a\rb\r\n\r\n", b"0\r\nX: a\nb\r\n\r\n", b"0\r\n\n", b"0\r\n\rX", b"0\n\r\n",
        b"0\r\nX\x01: v\r\n\r\n", b"0\r\n\x00", b"0\r\nGET / HTTP/1.1\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_no_chunked_body(coded: bytes) -> None:
    data = chunked(coded)
    if data.endswith((b"\r", b"\n")):
        data += b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
    assert refused(data) == 400


def test_data_before_a_breach_is_given_out_first() -> None:
    for pieces in ([chunked(b"5\r\nhello\r\nzz\r\n")], cut(chunked(b"5\r\nhello\r\nzz\r\n"), 1)):
        seen = exchange(pieces)
        assert (seen.status, seen.bodies, seen.complete) == (400, [b"hello"], [False])


@pytest.mark.parametrize(
    ("coded", "status"),
    [
        (b"5;a=" + b"x" * 1_000_000, 413),
        (b"5" + b";a=x" * 10_000, 413),
        (b"1;abcdefg\r\nx\r\n" * 3_000, 413),
        (b"0" * 500_000 + b"5\r\nhello\r\n0\r\n\r\n", 400),
        (b"0\r\nX-T: " + b"v" * 1_000_000, 431),
        (b"0\r\n" + b"X-T: v\r\n" * 10_000, 431),
        (b"0\r\n" + b"X-T: " + b"v" * 10_000 + b"\r\n" + b"X-T: " + b"v" * 60_000, 431),
        (b"fffffffff\r\n", 413),
        (b"ffffffffffffffff\r\n", 413),
    ],
)
def test_what_never_ends_is_refused_at_its_limit(coded: bytes, status: int) -> None:
    whole = exchange([chunked(coded)])
    assert whole.status == status
    for size in (1, 7, 4096):
        seen = exchange(cut(chunked(coded), size))
        assert seen.status == status
        assert seen.most_buffered <= 65536 + size


def test_the_limit_is_checked_by_the_size_line_alone() -> None:
    limits = Limits(max_request_body_size=10)
    assert refused(chunked(b"b\r\n"), limits) == 413
    assert refused(chunked(b"8\r\n12345678\r\n3\r\n"), limits) == 413
    assert accepted(chunked(b"8\r\n12345678\r\n2\r\n90\r\n0\r\n\r\n"), limits)[1] == b"1234567890"


def test_one_event_holds_all_chunks_that_were_fed_together() -> None:
    decoder = ChunkedDecoder(Limits(), 0)
    assert decoder.decode(b"1\r\na\r\n1\r\nb\r\n2\r\nc", 0) == (b"abc", 16)
    assert decoder.decode(b"d\r\n0\r\n\r\nGET", 0) == (b"d", 8)
    assert decoder.phase is Phase.END
    assert decoder.decode(b"GET", 0) == (b"", 0)


def test_a_piece_that_is_all_data_is_not_copied() -> None:
    decoder = ChunkedDecoder(Limits(), 0)
    assert decoder.decode(b"100\r\n", 0) == (b"", 5)
    data = b"x" * 0x80
    assert decoder.decode(data, 0)[0] is data


def test_the_work_for_small_chunks_grows_with_their_number_alone() -> None:
    """Per chunk a fixed number of steps is taken, and one event comes per piece that was fed."""
    steps = 0

    class Counting(ChunkedDecoder):
        def _move(self, met: ChunkEvent) -> None:
            nonlocal steps
            steps += 1
            super()._move(met)

    for count in (100, 1_000, 10_000):
        steps = 0
        decoder = Counting(Limits(), 0)
        data, _ = decoder.decode(b"1\r\nx\r\n" * count, 0)
        assert (len(data), steps) == (count, 3 * count)


def test_a_trickled_line_is_looked_at_once() -> None:
    """What is still unfinished is scanned from where the last look ended."""
    looked = 0

    class Counting(bytearray):
        def find(self, mark: Any, start: Any = 0, end: Any = None) -> int:
            nonlocal looked
            looked += len(self) - start
            return super().find(mark, start, end)

    buffer = Counting()
    decoder = ChunkedDecoder(Limits(chunk_extension_bytes=10_000), 0)
    for octet in b"5;a=" + b"x" * 5_000:
        buffer.append(octet)
        assert decoder.decode(buffer, 0) == (b"", 0)
    assert looked <= 2 * len(buffer)


def test_room_that_the_head_used_is_not_there_for_the_trailer() -> None:
    decoder = ChunkedDecoder(Limits(max_request_header_size=100), 90)
    assert decoder.decode(b"0\r\nX: y\r\n", 0) == (b"", 9)
    assert decoder.decode(b"\r\n", 0) == (b"", 2)
    decoder = ChunkedDecoder(Limits(max_request_header_size=100), 93)
    with pytest.raises(HttpError, match="431"):
        decoder.decode(b"0\r\nX: y\r\n\r\n", 0)


@pytest.mark.parametrize("used", [99, 100])
def test_the_line_that_ends_a_body_needs_no_room(used: int) -> None:
    decoder = ChunkedDecoder(Limits(max_request_header_size=100), used)
    assert decoder.decode(b"0\r\n\r", 0) == (b"", 3)
    assert decoder.decode(b"\r\n", 0) == (b"", 2)
    assert decoder.phase is Phase.END


def test_a_body_on_any_method() -> None:
    for method in ("GET", "HEAD", "DELETE", "OPTIONS"):
        data = head("Transfer-Encoding: chunked", start=f"{method} / HTTP/1.1") + b"5\r\nhello\r\n0\r\n\r\n"
        assert accepted(data)[1] == b"hello"


@pytest.mark.parametrize("size", [b"0x20", b"0X5;a", b"0x"])
def test_the_prefix_of_a_programming_language_has_its_own_message(size: bytes) -> None:
    """Whoever wrote it sees at once what is wrong: the number is hexadecimal without a prefix (RFC 9112, 7.1)."""
    with pytest.raises(HttpError, match="hexadecimal digits alone, without 0x") as caught:
        ChunkedDecoder(Limits(), 0).decode(size + b"\r\nhello\r\n", 0)
    assert caught.value.status == 400
