"""What waits for a slow client: order, bounds, the disk and its failures, real files, and who waits for whom."""

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.platforms import WAYS, lack
from waitressd.net import outbuf as module
from waitressd.net.outbuf import FilePart, OutBuffer, OutputLimits, after
from waitressd.net.wire import SENDFILE_BYTES, BrokenFileError

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end, which does not block and takes little, and the client's."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.settimeout(5)
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.fixture
def disk(tmp_path: Path) -> str:
    return str(tmp_path)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every way of a file to the socket."""
    lack(monkeypatch, *WAYS[request.param])
    return str(request.param)


def fill(sock: socket.socket) -> int:
    """Write until the kernel takes no more."""
    count = 0
    try:
        while True:
            count += sock.send(b"-" * 1000)
    except BlockingIOError:
        return count


def drain(outbuf: OutBuffer, pair: Pair) -> bytes:
    """Read at the client's end while the buffer is flushed, until it is empty."""
    received = b""
    while not outbuf.flush(pair[0]):
        received += pair[1].recv(1 << 20)
    pair[0].shutdown(socket.SHUT_WR)
    while data := pair[1].recv(1 << 20):
        received += data
    return received


def open_file(folder: Path, content: bytes) -> BinaryIO:
    path = folder / "file"
    path.write_bytes(content)
    return path.open("rb")


def test_what_the_kernel_takes_is_not_kept(pair: Pair) -> None:
    outbuf = OutBuffer(OutputLimits())
    outbuf.append(pair[0], [b"one ", b"", b"two"])
    assert not outbuf.unsent_bytes
    assert pair[1].recv(100) == b"one two"
    assert outbuf.flushed_bytes == 7


def test_order_is_kept_through_memory_and_disk(pair: Pair, disk: str, way: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=5000, spool_directory=disk))
    filled = fill(pair[0])
    parts = [bytes([65 + index % 26]) * (700 * index % 3000 + 1) for index in range(200)]
    for part in parts:
        outbuf.append(pair[0], [part])
    assert outbuf._memory_bytes <= 5000
    assert outbuf.pending_bytes == sum(map(len, parts))
    assert drain(outbuf, pair)[filled:] == b"".join(parts)
    assert outbuf.pending_bytes == 0
    outbuf.close()


def test_memory_fills_again_only_when_the_disk_is_empty(pair: Pair, disk: str, way: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=100, spool_directory=disk))
    filled = fill(pair[0])
    sent = b""
    received = b""
    for index in range(300):
        part = b"%d;" % index * 40
        outbuf.append(pair[0], [part])
        sent += part
        if index % 7 == 0:
            received += pair[1].recv(5000)
            outbuf.flush(pair[0])
    received += drain(outbuf, pair)
    assert received[filled:] == sent
    outbuf.close()


def test_the_spool_file_starts_again_at_its_front(pair: Pair, disk: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=0, spool_directory=disk))
    for _ in range(5):
        filled = fill(pair[0])
        outbuf.append(pair[0], [b"x" * 50_000])
        received = 0
        while outbuf.unsent_bytes or received < filled + 50_000:
            received += len(pair[1].recv(1 << 16))
            outbuf.flush(pair[0])
        assert outbuf._spool is not None
        assert os.fstat(outbuf._spool.fileno()).st_size == 0
    outbuf.close()


def test_nothing_is_on_the_disk_when_it_is_closed(pair: Pair, disk: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=0, spool_directory=disk))
    fill(pair[0])
    outbuf.append(pair[0], [b"x" * 50_000])
    outbuf.close()
    outbuf.close()
    assert not outbuf.unsent_bytes
    assert os.listdir(disk) == []  # noqa: PTH208 - names are what is asked


def test_where_nothing_can_be_spilled_memory_takes_it(pair: Pair, tmp_path: Path) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=1000, spool_directory=str(tmp_path / "missing")))
    filled = fill(pair[0])
    outbuf.append(pair[0], [b"a" * 600, b"b" * 600, b"c" * 600])
    assert isinstance(outbuf.spool_failure, FileNotFoundError)
    assert not outbuf.wait_below_high_water(0)  # memory is all there is, and its limit is where producers wait
    assert drain(outbuf, pair)[filled:] == b"a" * 600 + b"b" * 600 + b"c" * 600
    assert outbuf.wait_below_high_water(0)


def test_a_disk_that_fills_up_in_the_middle(pair: Pair, disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is on the disk already goes first; the rest waits in memory behind it."""
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=10, spool_directory=disk))
    filled = fill(pair[0])
    written = os.pwrite

    def short(fd: int, data: bytes, offset: int) -> int:
        if offset >= 2000:
            raise OSError(28, "No space left on device")
        return written(fd, data[:1000], offset)

    monkeypatch.setattr(os, "pwrite", short)
    outbuf.append(pair[0], [b"1" * 10, b"2" * 1500, b"3" * 1500, b"4" * 50])
    assert outbuf.spool_failure is not None
    assert drain(outbuf, pair)[filled:] == b"1" * 10 + b"2" * 1500 + b"3" * 1500 + b"4" * 50
    outbuf.close()


def test_a_file_goes_last(pair: Pair, tmp_path: Path, disk: str, way: str) -> None:
    content = bytes(range(256)) * 1000
    closed = []
    with open_file(tmp_path, content) as file:
        outbuf = OutBuffer(OutputLimits(outbuf_overflow=10, spool_directory=disk))
        filled = fill(pair[0])
        outbuf.append(pair[0], [b"head" * 100])
        outbuf.attach(FilePart(file, 1000, 200_000, lambda: closed.append(1)))
        assert outbuf.unsent_bytes
        assert drain(outbuf, pair)[filled:] == b"head" * 100 + content[1000:201_000]
        close = outbuf.close()
        assert close is not None
        close()
        assert outbuf.close() is None
        assert closed == [1]


def test_a_file_that_has_become_shorter_is_noticed(pair: Pair, tmp_path: Path, way: str) -> None:
    with open_file(tmp_path, b"short") as file:
        outbuf = OutBuffer(OutputLimits())
        outbuf.attach(FilePart(file, 0, 100, lambda: None))
        with pytest.raises(BrokenFileError, match="ends at offset 5, and 95 bytes more"):
            while not outbuf.flush(pair[0]):
                pass


def test_a_file_that_its_owner_closed_is_noticed(pair: Pair, tmp_path: Path) -> None:
    with open_file(tmp_path, b"content") as file:
        outbuf = OutBuffer(OutputLimits())
        outbuf.attach(FilePart(file, 0, 7, lambda: None))
    with pytest.raises(BrokenFileError, match=r"cannot be read: .*closed"):
        outbuf.flush(pair[0])


def test_many_small_pieces_take_little_more_than_their_bytes(pair: Pair, disk: str) -> None:
    tracemalloc = pytest.importorskip("tracemalloc")  # PyPy has none
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=1 << 20, spool_directory=disk))
    filled = fill(pair[0])
    pieces = [b"%05d" % number for number in range(50_000)]
    tracemalloc.start()
    try:
        for piece in pieces:
            outbuf.append(pair[0], [piece])
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 2 * 5 * len(pieces)
    outbuf.append(pair[0], [b"large" * 2000])
    outbuf.append(pair[0], [b"end"])
    assert drain(outbuf, pair)[filled:] == b"".join(pieces) + b"large" * 2000 + b"end"


def test_one_turn_gives_one_client_a_bounded_share(tmp_path: Path) -> None:
    content = b"x" * (8 << 20)
    ours, theirs = socket.socketpair()
    received = 0

    def read() -> None:
        nonlocal received
        while data := theirs.recv(1 << 20):
            received += len(data)

    reader = threading.Thread(target=read)
    reader.start()
    with open_file(tmp_path, content) as file, ours, theirs:
        outbuf = OutBuffer(OutputLimits())
        outbuf.attach(FilePart(file, 0, len(content), lambda: None))
        turns = 1
        while not outbuf.flush(ours):
            turns += 1
        assert turns >= len(content) // (module.FLUSH_BYTES + SENDFILE_BYTES)
        ours.shutdown(socket.SHUT_WR)
        reader.join(10)
    assert received == len(content)


def test_a_dead_peer_is_an_oserror(pair: Pair) -> None:
    outbuf = OutBuffer(OutputLimits())
    fill(pair[0])
    outbuf.append(pair[0], [b"x" * 10_000])
    pair[1].close()
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        outbuf.flush(pair[0])
    with pytest.raises(OSError, match=r"Broken pipe|reset"):
        OutBuffer(OutputLimits()).append(pair[0], [b"x"])


# -- producers that wait


def test_a_producer_goes_on_when_the_client_has_taken_enough(pair: Pair, disk: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=100, outbuf_high_watermark=10_000, spool_directory=disk))
    fill(pair[0])
    outbuf.append(pair[0], [b"x" * 60_000])
    result: list[bool] = []
    producer = threading.Thread(target=lambda: result.append(outbuf.wait_below_high_water(10)))
    producer.start()
    while producer.is_alive() and outbuf.pending_bytes > 10_000:
        pair[1].recv(5000)
        outbuf.flush(pair[0])
    producer.join(5)
    assert result == [True]
    outbuf.close()


@pytest.mark.parametrize("end", ["break_off", "close"])
def test_a_producer_is_freed_when_the_connection_ends(pair: Pair, disk: str, end: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=100, outbuf_high_watermark=1000, spool_directory=disk))
    fill(pair[0])
    outbuf.append(pair[0], [b"x" * 60_000])
    result: list[bool] = []
    producer = threading.Thread(target=lambda: result.append(outbuf.wait_below_high_water(30)))
    producer.start()
    getattr(outbuf, end)()
    producer.join(5)
    assert result == [False]
    outbuf.close()


def test_a_producer_waits_no_longer_than_it_may(pair: Pair, disk: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=100, outbuf_high_watermark=1000, spool_directory=disk))
    fill(pair[0])
    outbuf.append(pair[0], [b"x" * 60_000])
    assert not outbuf.wait_below_high_water(0.01)
    outbuf.close()


# -- helpers


@pytest.mark.parametrize("sent", range(8))
def test_after(sent: int) -> None:
    parts = [b"ab", b"", b"cde", b"fg"]
    assert b"".join(bytes(part) for part in after(parts, sent)) == b"abcdefg"[sent:]


def test_nobody_waits_for_a_task_that_writes_to_the_disk(pair: Pair, disk: str) -> None:
    """The holder of the role serves everybody else meanwhile."""
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=10, spool_directory=disk))
    outbuf.append(pair[0], [b"x" * 100_000])
    outbuf.lock.acquire()
    try:
        assert outbuf.flush(pair[0]) is False
        outbuf.break_off()
    finally:
        outbuf.lock.release()
    assert outbuf.broken
    before = outbuf.pending_bytes
    outbuf.append(pair[0], [b"y" * (3 << 20)])
    assert outbuf.pending_bytes == before
    outbuf.close()


def test_a_large_piece_keeps_its_place(pair: Pair, disk: str) -> None:
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=10, spool_directory=disk))
    filled = fill(pair[0])
    content = os.urandom(2_500_000)
    outbuf.append(pair[0], [b"<", content, b">"])
    assert drain(outbuf, pair)[filled:] == b"<" + content + b">"
    outbuf.close()
