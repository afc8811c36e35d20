"""One question to all workers at once, over HTTP.

Each is handed one end of a pair of sockets, which it serves as it does any other client. So there is no second
protocol, and an answer that comes too late meets nobody. Called by threads of the slow lane.
"""

import contextlib
import selectors
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from waitressd.insight.guard import CONTROL_FIELD
from waitressd.insight.silent import Held

PATIENCE_SECONDS: Final = 0.25
_RECV_BYTES: Final = 1 << 18


def _unknown() -> None:
    """Where nobody writes anything down."""


def _no_stacks(_seconds: float) -> str:
    """Where they cannot be had."""
    return ""


@dataclass(frozen=True, slots=True)
class Member:
    """One worker, as the master knows it at this moment."""

    worker: int
    """Its place, counted from 1."""
    pid: int
    generation: int
    pass_on: Callable[[int], bool]
    """Hands it a descriptor; False if it does not take any more."""
    held: Callable[[], Held | None] = _unknown
    """What is known of it without asking it; None if nothing is."""
    stacks: Callable[[float], str] = _no_stacks
    """Has it write its stacks, which needs no interpreter lock there, and returns them; "" if not in these seconds."""


@dataclass(slots=True)
class Reply:
    """What a worker has answered; the status is 0 if it has not in time."""

    member: Member
    status: int = 0
    content_type: str = ""
    body: bytes = b""
    _received: bytearray = field(default_factory=bytearray)

    def read(self, sock: socket.socket) -> bool:
        """Take what has come; False at its end."""
        try:
            data = sock.recv(_RECV_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._received += data
        if not data:
            self._parse()
        return bool(data)

    def _parse(self) -> None:
        head, _, body = bytes(self._received).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        if len(body) == int(fields.get("content-length", "-1")):  # else it was cut
            self.status, self.content_type, self.body = int(lines[0].split(" ")[1]), fields["content-type"], body


def ask_all(
    members: Sequence[Member], method: str, target: str, accept: str, seconds: float = PATIENCE_SECONDS
) -> list[Reply]:
    """Ask every member at the same time, and wait so long for all of them together."""
    question = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{CONTROL_FIELD}: 1\r\n"
        f"Accept: {accept or '*/*'}\r\n\r\n"
    ).encode("latin-1")
    replies = []
    end = time.monotonic() + seconds
    with contextlib.ExitStack() as stack:
        poller = stack.enter_context(selectors.DefaultSelector())
        for member in members:
            reply = Reply(member)
            replies.append(reply)
            if (sock := _connect(member, question)) is not None:
                stack.enter_context(sock)
                poller.register(sock, selectors.EVENT_READ, reply)
        while poller.get_map() and (left := end - time.monotonic()) > 0:
            for key, _ in poller.select(left):
                assert isinstance(key.fileobj, socket.socket)
                if not key.data.read(key.fileobj):
                    poller.unregister(key.fileobj)
    return replies


def _connect(member: Member, question: bytes) -> socket.socket | None:
    """Hand a worker one end of a connection that has the question in it; None if it does not take any more."""
    try:
        ours, theirs = socket.socketpair()
    except OSError:  # out of descriptors: as if it had not answered
        return None
    with theirs:
        ours.setblocking(False)
        try:
            ours.sendall(question)  # which the kernel's buffer takes as a whole
            if member.pass_on(theirs.fileno()):
                return ours
        except OSError:
            pass
    ours.close()
    return None
