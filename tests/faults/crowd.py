"""Many clients at once in one thread: they drip, take their answers slowly, or do nothing at all."""

import contextlib
import selectors
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from tests.support.client import Address

RECEIVE_BYTES: Final = 65536
RESET: Final = struct.pack("ii", 1, 0)


@dataclass
class Member:
    """One client of a crowd."""

    sock: socket.socket
    begun: float
    received: bytes = b""
    received_bytes: int = 0
    ended: float = 0.0  # when the server closed; 0 while it has not

    @property
    def status(self) -> int:
        """The status of the answer, 0 without one."""
        return int(self.received[9:12]) if self.received.startswith(b"HTTP/1.1 ") else 0

    @property
    def seconds(self) -> float:
        """How long the server bore it; infinity when it still does."""
        return self.ended - self.begun if self.ended else float("inf")


@contextmanager
def crowd(address: Address, count: int, *, receive_buffer_bytes: int = 0) -> Iterator[list[Member]]:
    """Open `count` connections and close them at the end."""
    members: list[Member] = []
    try:
        for _ in range(count):
            sock = socket.socket()
            members.append(Member(sock, time.monotonic()))
            if receive_buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
            sock.settimeout(10)
            sock.connect(address)
            sock.setblocking(False)
        yield members
    finally:
        for member in members:
            member.sock.close()


def send_all(members: list[Member], data: bytes) -> None:
    """Send the same bytes by everybody whose connection stands."""
    for member in members:
        if not member.ended:
            try:
                member.sock.send(data)
            except BlockingIOError:
                continue
            except OSError:
                member.ended = time.monotonic()


def receive(member: Member, count: int = RECEIVE_BYTES) -> None:
    """Take what is there."""
    try:
        data = member.sock.recv(count)
    except BlockingIOError:
        return
    except OSError:
        data = b""
    if not data:
        member.ended = time.monotonic()
    if len(member.received) < RECEIVE_BYTES:
        member.received += data
    member.received_bytes += len(data)


def nothing(_members: list[Member]) -> None:
    """What each second brings where clients only wait."""


def keep_going(
    members: list[Member],
    seconds: float,
    each_second: Callable[[list[Member]], None] = nothing,
    *,
    reading: bool = True,
    enough: Callable[[Member], bool] | None = None,
) -> None:
    """Call `each_second` until everybody was cut off or has enough, or the time is over; read all that comes."""
    selector = selectors.DefaultSelector()
    for member in members:
        if reading and not member.ended:
            selector.register(member.sock, selectors.EVENT_READ, member)
    begun = following = time.monotonic()
    with contextlib.closing(selector):
        while _some_are_left(members, enough) and time.monotonic() < begun + seconds:
            if time.monotonic() >= following:
                each_second([member for member in members if not member.ended])
                following += 1.0
            for key, _ in selector.select(max(0.0, following - time.monotonic())):
                receive(key.data)
                if key.data.ended:
                    selector.unregister(key.data.sock)


def _some_are_left(members: list[Member], enough: Callable[[Member], bool] | None) -> bool:
    return any(not member.ended and not (enough and enough(member)) for member in members)


def connect_and_reset(address: Address, request: bytes = b"") -> None:
    """Connect, send something perhaps, and crash."""
    with socket.socket() as sock:
        sock.settimeout(10)
        sock.connect(address)
        if request:
            sock.sendall(request)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
