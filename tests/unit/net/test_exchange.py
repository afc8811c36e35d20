"""An exchange that is revoked belongs to nobody: its task can neither write nor settle, whenever it notices."""

import io
from pathlib import Path

import pytest

from tests.support.loop import GET, Loop
from waitressd.http.errors import ClientDisconnected
from waitressd.net.exchange import Exchange
from waitressd.net.recorder import Fault
from waitressd.net.states import ChannelState, ExchangeState


def begun(loop: Loop) -> Exchange:
    """An exchange whose task runs, as far as the loop can tell; the test is the task."""
    exchange = loop.exchanges[-1]
    exchange.begin()
    return exchange


@pytest.mark.parametrize("fault", [Fault.CLIENT, Fault.DEADLINE, Fault.STOP])
def test_a_revoked_exchange_can_not_write(fault: Fault, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    closed: list[int] = []
    with Loop() as loop, loop.connect() as client, path.open("rb") as file:
        exchange = begun(loop)
        exchange.revoke(fault)
        with pytest.raises(ClientDisconnected, match=r"127\.0\.0\.1:\d+"):
            exchange.write(b"x")
        with pytest.raises(ClientDisconnected):
            exchange.write_parts([b"a", b"b"])
        with pytest.raises(ClientDisconnected):
            exchange.write_file(file, 0, 7, lambda: closed.append(1))
        assert closed == [1]
        assert exchange.is_gone()
        assert loop.channels == []
        client.expect_closed()
        exchange.settle()


def test_the_descriptor_of_a_revoked_exchange_is_its_task_s_until_it_returns() -> None:
    """The system gives a number that is free to the next connection, and the task may be about to write."""
    with Loop() as loop, loop.connect():
        exchange = begun(loop)
        line = loop.channels[0]
        exchange.revoke(Fault.DEADLINE)
        assert line.state is ChannelState.CLOSED
        assert exchange.wire.fileno() >= 0
        with loop.connect() as other:
            assert loop.channels[0].fd != exchange.wire.fileno()
            loop.request(other, GET)
            assert other.receive().status == 200
        with loop.role.lock:
            assert not exchange.settle_aside()
        exchange.settle()
        assert exchange.wire.fileno() == -1
        assert exchange.state is ExchangeState.DONE


def test_what_a_revoked_exchange_had_is_dropped_when_its_task_returns() -> None:
    with Loop() as loop, loop.connect(receive_buffer_bytes=4096):
        exchange = begun(loop)
        exchange.body = body = io.BytesIO(b"body")
        while (outbuf := exchange.outbuf) is None:
            exchange.write(bytes(1 << 20))
        exchange.revoke(Fault.DEADLINE)
        assert not outbuf.wait_below_high_water(10)
        assert body.read() == b"body"  # the task may be reading
        exchange.settle()
        assert body.closed
        assert loop.channels == []


def test_only_a_running_exchange_is_revoked() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.request(client, GET[:5])
        loop.exchanges[0].revoke(Fault.DEADLINE)
        assert loop.phases == ["head"]
        loop.request(client, GET[5:])
        assert client.receive().status == 200
        loop.exchanges[0].revoke(Fault.DEADLINE)
        assert loop.phases == ["idle"]


def test_a_connection_that_is_closed_under_its_task_is_revoked() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = begun(loop)
        loop.channels[0].close()
        client.expect_closed()
        with pytest.raises(ClientDisconnected):
            exchange.write(b"x")
        assert exchange.wire.fileno() >= 0
        exchange.settle()
        assert exchange.wire.fileno() == -1


def test_an_exchange_serves_one_request_after_the_other() -> None:
    with Loop() as loop, loop.connect() as client:
        exchange = loop.exchanges[0]
        for number in range(1, 4):
            assert exchange.number == number
            loop.request(client, GET)
            assert client.receive().status == 200
        assert loop.exchanges == [exchange]
        assert exchange.request is None
