"""How long a transfer may go on: silence ends it, and so does a rate below the minimum."""

import io
import socket
from collections.abc import Iterator

import pytest

from waitressd.net.outbuf import OutBuffer, OutputLimits
from waitressd.net.progress import LOOKS, NEVER, Deadlines, Delivery, Upload

DEADLINES = Deadlines(
    channel_timeout=50, request_body_min_rate=10, min_rate_grace=5, send_timeout=40, response_min_rate=100
)
FREE = Deadlines(channel_timeout=50, request_body_min_rate=0, send_timeout=40, response_min_rate=0)


class Sink:
    """A body in memory."""

    def __init__(self) -> None:
        self._data = b""
        self.given_back: list[bytes] = []

    def append(self, data: bytes) -> None:
        self._data += data

    def finish(self) -> io.BytesIO:
        return io.BytesIO(self._data)

    def close(self) -> None:
        self.given_back.append(self._data)


def test_a_body_must_come_at_its_rate_and_without_a_rest() -> None:
    upload = Upload(Sink(), DEADLINES, 1000.0)
    assert upload.deadline(1000.0) == 1005
    upload.append(b"x" * 100)
    assert upload.deadline(1004.0) == 1015
    upload.append(b"x" * 10_000)
    assert upload.deadline(1010.0) == 1060
    assert Upload(Sink(), FREE, 1000.0).deadline(1007.0) == 1057


@pytest.mark.parametrize("is_complete", [True, False])
def test_the_place_of_a_body_is_given_back_once_when_its_request_ends(*, is_complete: bool) -> None:
    sink = Sink()
    upload = Upload(sink, DEADLINES, 0.0)
    upload.append(b"hello")
    if is_complete:
        assert upload.finish().read() == b"hello"
    assert sink.given_back == []
    upload.close()
    upload.close()
    assert sink.given_back == [b"hello"]


@pytest.fixture
def ours() -> Iterator[socket.socket]:
    one, other = socket.socketpair()
    with one, other:
        yield one


def test_a_client_is_looked_at_several_times_before_it_is_given_up(ours: socket.socket) -> None:
    outbuf = OutBuffer(OutputLimits())
    delivery = Delivery(FREE, outbuf, ours, 1000.0)
    now = 1000.0
    for _ in range(LOOKS - 1):
        assert (now := delivery.look(now)) < 1040
    assert delivery.look(now) == 1040
    assert delivery.look(1041.0) == 1040


def test_what_the_kernel_takes_is_progress_and_the_rate_bounds_it(ours: socket.socket) -> None:
    outbuf = OutBuffer(OutputLimits())
    delivery = Delivery(DEADLINES, outbuf, ours, 1000.0)
    assert delivery.look(1003.0) == 1005
    outbuf.flushed_bytes += 1000
    assert delivery.look(1004.0) == 1009
    assert delivery.look(1012.0) == 1015
    outbuf.flushed_bytes += 100_000
    assert delivery.look(1014.0) == 1019
    assert delivery.look(1060.0) == 1054 < NEVER
