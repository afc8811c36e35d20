"""TLS between two sockets of one thread."""

import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path


def client_context(ca: Path | None, **options: object) -> ssl.SSLContext:
    """Make a client's context; without a CA it believes everybody. `options` are attributes of the context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    for name, value in options.items():
        setattr(context, name, value)
    return context


@contextlib.contextmanager
def shaken_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str | None = None, session: ssl.SSLSession | None = None
) -> Iterator[tuple[ssl.SSLSocket, ssl.SSLSocket]]:
    """Yield the two ends, server's first, after a handshake and a byte each way. Raises ssl.SSLError of either."""
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(end) for end in socket.socketpair()]
        for end in ends:
            end.setblocking(False)
        theirs = stack.enter_context(client.wrap_socket(
            ends[1], server_hostname=name, session=session, do_handshake_on_connect=False
        ))  # fmt: skip
        ours = stack.enter_context(server.wrap_socket(ends[0], server_side=True, do_handshake_on_connect=False))
        waiting = {ours.do_handshake, theirs.do_handshake}
        while waiting:
            for step in list(waiting):
                with contextlib.suppress(ssl.SSLWantReadError):
                    step()
                    waiting.remove(step)
        # With TLS 1.3 a client learns of a refusal, and gets its ticket, with the first data.
        ours.write(b"!")
        assert theirs.read(1) == b"!"
        yield ours, theirs
