"""A mailbox: connections lie in it on their way from one process to another.

A pair of Unix sockets that keep messages apart. Whoever has both ends can put something in and take it out again, so
what lies there is never lost with the process that it was meant for. A message is one descriptor with what is known of
its connection; the descriptor in it keeps the connection open.
"""

import array
import contextlib
import os
import socket
from typing import Final, Self

from waitressd.net.handover import Arrival, Kept, decode, encode

MESSAGE_BYTES: Final = 8192  # a PROXY header says 4 KiB at most that is kept
_DESCRIPTOR_BYTES: Final = array.array("i").itemsize
_CLOSE_ON_EXEC: Final[int] = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Mailbox:
    """One mailbox, as one process has it. Any thread; nothing waits."""

    def __init__(self, inlet: socket.socket, outlet: socket.socket) -> None:
        self._inlet = inlet
        self._outlet = outlet
        inlet.setblocking(False)
        outlet.setblocking(False)

    @classmethod
    def create(cls) -> Self:
        """Make an empty one. Raises OSError."""
        return cls(*socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))

    @classmethod
    def from_descriptors(cls, inlet: int, outlet: int) -> Self:
        """Use the ends that another process has passed; they belong to it from now on."""
        return cls(
            *(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=end) for end in (inlet, outlet)),
        )

    @property
    def descriptors(self) -> tuple[int, int]:
        """Both ends, to be passed to other processes."""
        return self._inlet.fileno(), self._outlet.fileno()

    @property
    def fd(self) -> int:
        """The descriptor that is readable while something lies in it."""
        return self._outlet.fileno()

    def put(self, sock: socket.socket, kept: Kept) -> bool:
        """Put a connection in; False when it does not fit, or the system has too many on their way."""
        data = encode(kept)
        if len(data) > MESSAGE_BYTES:
            return False
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))]
        try:
            self._inlet.sendmsg([int(sock.family).to_bytes(2, "little"), data], passed)
        except OSError:  # EAGAIN, ENOBUFS, ETOOMANYREFS, EMSGSIZE, EPIPE: who has it keeps it
            return False
        return True

    def take(self) -> Arrival | None:
        """Take a connection out; None when it is empty.

        Raises OSError when this process has no descriptor for it; it lies there still.
        """
        while not self.is_empty():
            # The system closes a descriptor that there is no number for, and with it the connection.
            os.close(os.dup(self._outlet.fileno()))
            try:
                data, passed, _, _ = self._outlet.recvmsg(
                    2 + MESSAGE_BYTES, socket.CMSG_SPACE(_DESCRIPTOR_BYTES), _CLOSE_ON_EXEC
                )
            except BlockingIOError:  # somebody else was faster
                return None
            if arrival := _arrival(data, passed):
                return arrival
        return None

    def is_empty(self) -> bool:
        """Whether nothing lies in it."""
        try:
            self._outlet.recv(1, socket.MSG_PEEK)  # the descriptor is left where it is
        except OSError:
            return True
        return False

    def close(self) -> None:
        """Give both ends back; twice is harmless."""
        self._inlet.close()
        self._outlet.close()


def _arrival(data: bytes, passed: list[tuple[int, int, bytes]]) -> Arrival | None:
    descriptors = array.array("i")
    for _, _, part in passed:
        descriptors.frombytes(part[: len(part) - len(part) % _DESCRIPTOR_BYTES])
    if len(descriptors) != 1:
        return None
    try:
        kept = decode(data[2:])
        sock = socket.socket(int.from_bytes(data[:2], "little"), socket.SOCK_STREAM, 0, fileno=descriptors[0])
    except (ValueError, OSError):
        with contextlib.suppress(OSError):
            os.close(descriptors[0])
        return None
    sock.set_inheritable(False)  # PEP 446 speaks of what Python opens, not of what is passed
    sock.setblocking(False)
    return sock, kept
