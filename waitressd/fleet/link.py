"""How master, template and workers talk: lines of JSON over a pair of Unix sockets, with descriptors beside them.

The end of the stream says that the other process is gone, whatever has ended it. Commands to a process are never
signals: a supervisor signals every process of the group, and nobody could tell its signal from a command.
"""

import json
import os
import select
import socket
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

PROTOCOL: Final = 1
"""What both sides must agree on; processes of two versions of the server may meet in a reload after an upgrade."""

MAX_DESCRIPTORS: Final = 250  # what the kernel passes with one message
MAX_LINE_BYTES: Final = 1 << 20
_READ_BYTES: Final = 65536


Keep = Callable[[int], int]
"""Takes a descriptor that another program in this process is to have (`waitressd.fleet.upgrade`), and returns it."""


class LinkError(Exception):
    """The other side talks nonsense."""


@dataclass(frozen=True, slots=True)
class Message:
    """One word with what belongs to it. The descriptors belong to the process that has received it."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()

    def close(self) -> None:
        """Close the descriptors of a message that is not understood."""
        for fd in self.descriptors:
            socket.close(fd)


class Link:
    """One end. One thread receives; sending is one system call, so that any thread may send.

    `is_over` once the other end is closed.
    """

    def __init__(self, sock: socket.socket, read: bytes = b"", descriptors: Iterable[int] = ()) -> None:
        """`read` and `descriptors` have come over it already."""
        self.socket = sock
        self.is_over = False
        self._buffer = bytearray(read)
        self._descriptors: deque[int] = deque(descriptors)
        self._cut_messages = 0  # whose descriptors are lost: this process had no numbers for them

    @classmethod
    def pair(cls) -> tuple[Self, Self]:
        """Make both ends; neither is inherited by a program that is executed."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        return cls(ours), cls(theirs)

    @classmethod
    def from_descriptor(cls, fd: int) -> Self:
        """Take over an end that was inherited or passed. Raises OSError: the descriptor is no socket."""
        sock = socket.socket(fileno=fd)
        sock.set_inheritable(False)
        return cls(sock)

    @classmethod
    def resume(cls, fields: Mapping[str, Any]) -> Self:
        """Go on with an end that `carry` has written down. Raises OSError: the descriptor is no socket."""
        for fd in (fields["fd"], *fields["descriptors"]):
            os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fields["fd"])
        sock.setblocking(False)
        return cls(sock, fields["buffer"].encode("latin-1"), fields["descriptors"])

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write it down for another program in this process, with what was read and is not a whole message yet."""
        return {
            "fd": keep(self.fileno()),
            "buffer": self._buffer.decode("latin-1"),
            "descriptors": [keep(fd) for fd in self._descriptors],
        }

    def fileno(self) -> int:
        """Return the descriptor, for a poller."""
        return self.socket.fileno()

    def send(self, name: str, descriptors: Sequence[int] = (), **fields: object) -> bool:
        """Send a message; False when the other end is gone, or has not read for so long that nothing more fits."""
        line = json.dumps({"name": name, "descriptors": len(descriptors), **fields}).encode() + b"\n"
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        try:
            sent = self.socket.sendmsg([line], passed, socket.MSG_DONTWAIT)
            if sent < len(line):  # the other end would take the next message for the rest of this one
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            return False
        return sent == len(line)

    def receive(self) -> list[Message]:
        """Read what has come; [] when nothing has, or it is not whole yet. Raises LinkError.

        A message is left out whose descriptors the system could not give to this process, as it has too many already:
        that is weather, and no nonsense of the other side.
        """
        try:
            data = self._read()
        except BlockingIOError:
            return []
        if not data:
            self.is_over = True
            return []
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        if len(rest) > MAX_LINE_BYTES:
            raise LinkError("a message without an end")
        self._buffer = rest
        messages: list[Message] = []
        try:
            for line in lines:
                messages += self._message(bytes(line))
        except LinkError:
            for message in messages:
                message.close()
            raise
        return messages

    def _read(self) -> bytes:
        """Take bytes and the descriptors beside them; b"" at the end. Raises BlockingIOError."""
        try:
            data, descriptors, flags, _ = socket.recv_fds(self.socket, _READ_BYTES, MAX_DESCRIPTORS)
        except BlockingIOError:
            raise
        except OSError:  # reset: the other end is gone, with something unread
            return b""
        if flags & socket.MSG_CTRUNC:
            self._cut_messages += 1
            while descriptors:
                socket.close(descriptors.pop())
        for fd in descriptors:
            os.set_inheritable(fd, False)  # PEP 446 speaks of what Python opens, not of what is passed
        self._descriptors.extend(descriptors)
        return data

    def is_hung_up(self) -> bool:
        """Whether the other end is closed; what it has sent before may still be there."""
        poller = select.poll()
        poller.register(self.socket, 0)
        return any(event & select.POLLHUP for _, event in poller.poll(0))

    def close(self) -> None:
        """Close this end, and what was passed and never taken. Twice is harmless."""
        self.socket.close()
        while self._descriptors:
            socket.close(self._descriptors.popleft())

    def _message(self, line: bytes) -> Iterator[Message]:
        """Yield the message in a line, unless it was cut. Raises LinkError."""
        try:
            fields = json.loads(line)
            name, count = fields.pop("name"), fields.pop("descriptors")
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise LinkError(f"a message that cannot be read: {error!r}") from None
        if self._cut_messages and type(count) is int and count > len(self._descriptors):
            self._cut_messages -= 1
            return
        if not isinstance(name, str) or type(count) is not int or not 0 <= count <= len(self._descriptors):
            raise LinkError(f"a message with a name and descriptors that it does not have: {name!r}, {count!r}")
        yield Message(name, fields, tuple(self._descriptors.popleft() for _ in range(count)))
