"""How a request is taken in that is not complete at once: its body, a wish for 100, what is still missing.

Knows an exchange and the line that it belongs to. Everything here is for the holder of the dispatcher role.
"""

import io
from typing import Final

from waitressd.http.events import CLOSED, NEED_DATA, PAUSED, Body, Event, Request
from waitressd.net.exchange import Exchange
from waitressd.net.poller import READ
from waitressd.net.progress import Upload
from waitressd.net.states import ChannelState, ExchangeMove, ExchangeState

# One read of a body whose length is known. The whole of most of them, so that nothing is put together of pieces, and
# not so much that the others would wait: 60 us. TLS gives less at once.
BODY_READ_BYTES: Final = 1 << 20


def receive(exchange: Exchange, event: Event) -> Exchange | None:
    """Take everything but a small request that is here in whole; return the exchange once its request may run.

    Raises HttpError, and OSError of a full disk.
    """
    line = exchange.line
    while True:
        if isinstance(event, Body):
            assert exchange.upload is not None
            exchange.upload.append(event.data)
        elif isinstance(event, Request):
            _expect_body(exchange, event)
            if line.state is ChannelState.CLOSED:  # the client was gone when it was to be told to go on
                return None
        elif event is NEED_DATA:
            if not line.mask:
                line.watch(READ)
            _wait_for_more(exchange)
            return None
        elif event is CLOSED:
            line.close()
            return None
        elif event is PAUSED:
            return None
        else:  # the end of the body
            assert exchange.upload is not None
            exchange.body = exchange.upload.finish()
            exchange.ask_bytes = exchange.settings.recv_bytes
            return exchange
        event = exchange.connection.next_event()


def take_whole_body(exchange: Exchange, request: Request) -> bool:
    """Take the body of a request if all of it is here, as most small ones are that came with their head.

    It needs no spool (a fifth of a 10 KiB POST, measured).
    """
    if exchange.number > 1 and request.expects_continue:
        return False
    data = exchange.reader.take_body()
    if data is not None:
        exchange.body = io.BytesIO(data)
    return data is not None


def _expect_body(exchange: Exchange, request: Request) -> None:
    """The body is still to come; send 100 to a client that waits for it.

    A body that came together with its head needs none (RFC 9110, 10.1.1). On a kept connection it may only have
    caught up while an earlier response was on its way; its client still counts on the 100.
    """
    connection, settings, now = exchange.connection, exchange.settings, exchange.loop.now
    exchange.upload = Upload(settings.new_body(request.content_length), settings.deadlines, now)
    exchange.expect(ExchangeMove.BODY, exchange.upload.deadline(now))
    if connection.awaiting_continue or (exchange.number > 1 and request.expects_continue):
        exchange.push(connection.encode_continue())


def _wait_for_more(exchange: Exchange) -> None:
    """The request is not complete: set the deadline for what is missing of it."""
    now = exchange.loop.now
    if exchange.upload is not None:
        missing = exchange.reader.missing_bytes
        exchange.ask_bytes = max(exchange.settings.recv_bytes, min(missing, BODY_READ_BYTES))
        exchange.deadline = exchange.upload.deadline(now)
    elif exchange.state is ExchangeState.IDLE and exchange.reader.request_started:
        exchange.expect(ExchangeMove.BYTES, now + exchange.settings.deadlines.request_header_timeout)
