"""The limits that an operator sets are inclusive, and have the values that the manual names."""

import dataclasses
from collections.abc import Callable

import pytest

from tests.support.exchange import accepted, chunked, head, refused
from waitressd.http.limits import Limits


def test_the_defaults() -> None:
    assert dataclasses.asdict(Limits()) == {
        "max_request_header_size": 65536,
        "max_request_line_size": 8190,
        "max_request_fields": 128,
        "max_request_body_size": 1 << 30,
        "chunk_extension_bytes": 16384,
    }


def test_limits_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Limits().max_request_header_size = 1  # type: ignore[misc]  # that is the point


@pytest.mark.parametrize(
    ("limits", "build", "status"),
    [
        (Limits(max_request_header_size=200), lambda over: head("X: " + "v" * (200 - len(head("X: ")) + over)), 431),
        (Limits(max_request_line_size=50), lambda over: head(start=f"GET /{'a' * (36 + over)} HTTP/1.1"), 414),
        (Limits(max_request_fields=5), lambda over: head(*["X: y"] * (4 + over)), 431),
        (Limits(), lambda over: head(start=f"{'M' * (64 + over)} / HTTP/1.1"), 501),
        (Limits(), lambda over: b"\r\n" * (4 + over) + head(), 400),
        (Limits(max_request_body_size=5), lambda over: head(f"Content-Length: {5 + over}") + b"hello", 413),
        (Limits(max_request_body_size=5), lambda over: chunked(b"3\r\nabc\r\n%x\r\nde\r\n0\r\n\r\n" % (2 + over)), 413),
        (Limits(chunk_extension_bytes=9), lambda over: chunked(b"1;a=b\r\nx\r\n0;%b\r\n\r\n" % (b"c" * (4 + over))),
        413),
        (Limits(), lambda over: chunked(b"%b\r\nx\r\n0\r\n\r\n" % (b"1".zfill(16 + over))), 400),
        (
            Limits(max_request_header_size=len(chunked(b"")) + 20),
            lambda over: chunked(b"0\r\nA: b\r\nC: %b\r\n\r\n" % (b"d" * (7 + over))),
            431,
        ),
        (Limits(max_request_fields=2), lambda over: chunked(b"0\r\n" + b"A: b\r\n" * (2 + over) + b"\r\n"), 431),
    ],
    ids=[
        "head", "start-line", "fields", "method", "blank-lines", "body", "chunked-body", "extensions", "size-digits",
        "trailer", "trailer-fields",
    ],
)  # fmt: skip
def test_a_limit_is_the_last_size_that_is_served(limits: Limits, build: Callable[[int], bytes], status: int) -> None:
    accepted(build(0), limits)
    assert refused(build(1), limits) == status
