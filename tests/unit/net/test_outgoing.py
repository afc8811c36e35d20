"""What a task writes: straight to the kernel, kept when the client is slow, refused when it has left."""

import contextlib
import errno
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from tests.support.client import Client
from tests.support.loop import GET, Loop
from waitressd.http.errors import ClientDisconnected
from waitressd.http.events import Request
from waitressd.net.exchange import Exchange
from waitressd.net.outbuf import OutputLimits
from waitressd.net.poller import PARKED, WRITE
from waitressd.net.progress import NEVER, Deadlines
from waitressd.net.recorder import Fault

MEGABYTE = b"x" * (1 << 20)


def begun(loop: Loop) -> Exchange:
    """A exchange whose task runs, as far as the loop can tell; the test is the task."""
    exchange = loop.exchanges[0]
    exchange.begin()
    return exchange


def fill(exchange: Exchange) -> int:
    """Write until something is kept."""
    count = 0
    while exchange.outbuf is None or not exchange.outbuf.pending_bytes:
        exchange.write(MEGABYTE)
        count += len(MEGABYTE)
    return count


def receive(loop: Loop, client: Client, count: int) -> bytes:
    """Read so many bytes while the loop turns."""
    client.sock.setblocking(False)
    received = bytearray()
    while len(received) < count:
        loop.turn()
        try:
            received += client.sock.recv(1 << 20)
        except BlockingIOError:
            continue
    client.sock.settimeout(5)
    return bytes(received)


def test_what_the_kernel_takes_needs_no_buffer() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = begun(loop)
        exchange.write(b"one ")
        exchange.write_parts([b"two", b" ", b"three"])
        assert exchange.outbuf is None
        assert client.sock.recv(100) == b"one two three"
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_each_block_is_with_the_kernel_before_the_next_is_asked_for() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = begun(loop)
        received = []

        def blocks() -> Iterator[bytes]:
            for number in range(3):
                yield b"block %d" % number
                received.append(client.sock.recv(100))

        exchange.write_blocks(blocks())
        assert received == [b"block 0", b"block 1", b"block 2"]
        assert (exchange.outbuf, exchange.send_count, exchange.sent_bytes) == (None, 3, 21)
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_blocks_that_the_client_does_not_take_wait_in_order() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = begun(loop)
        count = 0

        def blocks() -> Iterator[bytes]:
            nonlocal count
            while exchange.outbuf is None:
                count += 1
                yield MEGABYTE
            yield b"middle"
            yield b"end"

        exchange.write_blocks(blocks())
        assert exchange.line.mask == PARKED | WRITE
        assert exchange.send_count == count + 2
        received = receive(loop, client, count * len(MEGABYTE) + 9)
        assert received[-10:] == b"xmiddleend"
        exchange.write_blocks(iter([b"more"]))
        assert client.sock.recv(100) == b"more"
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_no_block_overtakes_what_waits() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = begun(loop)
        received, count = bytearray(), 0

        def blocks() -> Iterator[bytes]:
            nonlocal count
            while exchange.outbuf is None:
                count += 1
                yield MEGABYTE
            client.sock.settimeout(0)
            with contextlib.suppress(BlockingIOError):  # now the kernel has room again
                while True:
                    received.extend(client.sock.recv(1 << 20))
            client.sock.settimeout(5)
            yield b"end"

        exchange.write_blocks(blocks())
        assert received
        received += receive(loop, client, count * len(MEGABYTE) + 3 - len(received))
        assert received[-4:] == b"xend"
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_no_block_is_asked_for_after_the_one_that_goes_nowhere() -> None:
    def end(exchange: Exchange, client: Client) -> None:
        exchange.break_off(Fault.CLIENT)

    def reset(exchange: Exchange, client: Client) -> None:
        client.reset()

    for leave in (end, reset):
        with Loop() as loop, loop.connect() as client:
            exchange = begun(loop)
            asked_for: list[int] = []

            def blocks(
                asked_for: list[int] = asked_for, exchange: Exchange = exchange, client: Client = client,
                leave: Callable[[Exchange, Client], None] = leave,
            ) -> Iterator[bytes]:  # fmt: skip
                for number in range(10):
                    if number == 3:
                        leave(exchange, client)
                    asked_for.append(number)
                    yield b"block"

            with pytest.raises(ClientDisconnected):
                exchange.write_blocks(blocks())
            assert asked_for == [0, 1, 2, 3]
            exchange.settle()


def test_what_a_task_sends_is_counted() -> None:
    """By that a stream is told from a task that blocks."""
    with Loop() as loop, loop.connect():
        exchange = begun(loop)
        assert exchange.send_count == 0
        exchange.write(b"one ")
        exchange.write_parts([b"two", b" ", b"three"])
        assert exchange.send_count == 2
        exchange.break_off(Fault.CLIENT)
    with Loop() as loop, loop.connect() as client:
        for _ in range(2):
            loop.request(client, GET)
            assert client.receive().status == 200
            assert loop.exchanges[0].send_count == 1, "of each task anew"


def test_order_is_kept_when_the_client_is_slow() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = begun(loop)
        count = fill(exchange)
        exchange.write(b"middle")
        exchange.write_parts([b"e", b"n", b"d"])
        assert exchange.line.mask == PARKED | WRITE
        assert exchange.deadline < NEVER
        received = receive(loop, client, count + 9)
        assert received[count:] == b"middleend"
        assert exchange.deadline == NEVER  # nothing waits any more
        assert exchange.line.mask == PARKED
        exchange.write(b"more")
        assert client.sock.recv(100) == b"more"
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_a_task_waits_above_the_high_water_before_it_writes_more() -> None:
    limits = OutputLimits(outbuf_overflow=1 << 20, outbuf_high_watermark=2 << 20)
    with Loop(output=limits) as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = begun(loop)
        count = fill(exchange)
        exchange.write(MEGABYTE * 4)  # a task that has nothing more to say does not wait
        written = threading.Event()

        def write() -> None:
            exchange.write(b"end")
            written.set()

        task = threading.Thread(target=write)
        task.start()
        assert not written.wait(0.05)
        assert receive(loop, client, count + 4 * len(MEGABYTE) + 3)[-4:] == b"xend"
        assert written.wait(5)
        task.join()
        exchange.break_off(Fault.CLIENT)
        exchange.settle()


def test_a_task_waits_no_longer_than_the_stall_deadline() -> None:
    limits = OutputLimits(outbuf_overflow=1000, outbuf_high_watermark=2000)
    deadlines = Deadlines(send_timeout=0.05)
    with Loop(output=limits, deadlines=deadlines) as loop, loop.connect(receive_buffer_bytes=4096):
        exchange = begun(loop)
        fill(exchange)
        with pytest.raises(ClientDisconnected):
            exchange.write(b"more")
        assert exchange.is_gone()
        exchange.settle()
        assert loop.channels == []


def test_a_client_that_has_left_stops_its_task() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096) as client:
        exchange = begun(loop)
        fill(exchange)
        client.reset()
        loop.settle()
        assert exchange.is_gone()
        with pytest.raises(ClientDisconnected, match=r"127\.0\.0\.1:\d+ has left"):
            exchange.write(b"x")
        with pytest.raises(ClientDisconnected):
            exchange.write_parts([b"x"])
        exchange.settle()
        assert loop.channels == []


@pytest.mark.parametrize("parts", [True, False])
def test_a_client_that_has_left_is_noticed_by_the_kernel_too(parts: bool) -> None:  # noqa: FBT001 - a parameter
    with Loop() as loop, loop.connect() as client:
        exchange = begun(loop)
        client.reset()
        with pytest.raises(ClientDisconnected):
            for _ in range(3):
                if parts:
                    exchange.write_parts([b"x", b"y"])
                else:
                    exchange.write(b"x")
        exchange.settle()


def test_a_poller_that_fails_loses_the_client_and_not_the_order_of_things() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096):
        exchange = begun(loop)

        def fail(fd: object, eventmask: int) -> None:
            raise OSError(errno.ENOMEM, "Cannot allocate memory")

        loop.poller.modify = fail
        with pytest.raises(ClientDisconnected):
            fill(exchange)
        exchange.settle()
        assert loop.channels == []


def test_a_broken_disk_is_logged_once_a_while(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    limits = OutputLimits(outbuf_overflow=1 << 20, spool_directory=str(tmp_path / "missing"))
    with Loop(output=limits, deadlines=Deadlines(send_timeout=0.01)) as loop, loop.connect(receive_buffer_bytes=4096):
        exchange = begun(loop)
        fill(exchange)
        with pytest.raises(ClientDisconnected):
            for _ in range(5):
                exchange.write(MEGABYTE)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "cannot keep an answer to 127.0.0.1" in caplog.text
        exchange.settle()


# -- files


class Sent:
    """Counts how often a file is closed."""

    def __init__(self) -> None:
        self.count = 0

    def close(self) -> None:
        self.count += 1


def send_file(loop: Loop, folder: Path, size: int, count: int | None = None) -> tuple[Sent, BinaryIO]:
    path = folder / "file"
    path.write_bytes(b"f" * size)
    file = path.open("rb")
    sent = Sent()
    loop._handler = lambda request, body, exchange: _answer_file(request, exchange, (file, count or size, sent))
    return sent, file


def _answer_file(_request: Request, exchange: Exchange, part: tuple[BinaryIO, int, Sent]) -> None:
    from waitressd.http.response import build_head

    file, count, sent = part
    connection = exchange.connection
    exchange.write(connection.encoder.encode_head(build_head("200 OK", [("Content-Length", str(count))]), "date"))
    connection.encoder.account_file(count)
    try:
        exchange.write_file(file, 0, count, sent.close)
        connection.encoder.encode_end()
    except ClientDisconnected:
        return


@pytest.mark.parametrize("size", [10, 8 << 20])
def test_a_file_is_sent_and_closed_once(tmp_path: Path, size: int) -> None:
    with Loop() as loop, loop.connect() as client:
        sent, file = send_file(loop, tmp_path, size)
        with file:
            loop.request(client, GET)
            head = client.receive_head()
            rest = client.buffer + receive(loop, client, size - len(client.buffer))
            assert head.get("Content-Length") == str(size)
            assert rest == b"f" * size
            loop.settle()
            assert sent.count == 1
            assert loop.phases[0] == "idle"


def test_a_file_is_closed_when_its_client_leaves(tmp_path: Path) -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096) as client:
        sent, file = send_file(loop, tmp_path, 16 << 20)
        with file:
            loop.request(client, GET)
            assert sent.count == 0
            client.reset()
            loop.settle()
            assert loop.channels == []
            assert sent.count == 1


def test_a_file_is_closed_when_its_client_has_left_before(tmp_path: Path) -> None:
    with Loop() as loop, loop.connect() as client:
        sent, file = send_file(loop, tmp_path, 100)
        with file:
            exchange = loop.exchanges[0]
            exchange.begin()
            client.reset()
            with pytest.raises(ClientDisconnected):
                for _ in range(3):
                    exchange.write_file(file, 0, 100, sent.close)
            assert sent.count >= 1
            exchange.settle()


@pytest.mark.parametrize("size", [10, 16 << 20])
def test_a_file_that_is_shorter_than_promised_cuts_the_answer_off(
    tmp_path: Path, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Loop() as loop, loop.connect() as client:
        sent, file = send_file(loop, tmp_path, size, size + 100)
        with file:
            loop.request(client, GET)
            with pytest.raises(AssertionError, match="before the length"):
                receive_all(loop, client)
            client.close()
            loop.settle()
            assert sent.count == 1
            assert f"its file ends at offset {size}, and 100 bytes more were promised" in caplog.text
            assert loop.channels == []


def receive_all(loop: Loop, client: Client) -> None:
    client.sock.setblocking(False)
    while True:
        loop.turn()
        try:
            if not client.sock.recv(1 << 20):
                raise AssertionError("the end, before the length was reached")
        except BlockingIOError:
            continue
