"""Which descriptors are ready: epoll, kqueue or poll behind one small interface.

Masks are the numbers of Linux's epoll on every platform, so that the fast path translates nothing. Registration is
level-triggered and stays as it is between requests. Every method may be called by any thread, also while another one is
inside `wait`: epoll and kqueue allow that themselves, the fallback wakes the waiting thread.
"""

import contextlib
import os
import select
import socket
import sys
import threading
from typing import Final, Protocol

READ: Final = 0x001
WRITE: Final = 0x004
ERROR: Final = 0x008
HANGUP: Final = 0x010
PEER_CLOSED: Final = 0x2000  # the peer will send no more (FIN); it may still read
ONCE: Final = 1 << 30  # report once, then stay silent until the next `modify`

# A task owns the channel: tell once that the client left, then be silent, because a dead peer is reported for ever
# whatever the mask, and a loop that cannot act on it would spin.
PARKED: Final = PEER_CLOSED | ONCE
GONE: Final = HANGUP | ERROR

MORE_THAN_EVER_BYTES: Final = 0x7FFFFFFF  # in a receive buffer
MAX_EVENTS: Final = 256  # a turn takes this many at most, so that deadlines are looked at between


class Poller(Protocol):
    """What the dispatcher asks of a poller."""

    def add(self, fd: int, mask: int) -> None:
        """Begin to watch a descriptor."""

    def modify(self, fd: int, mask: int) -> None:
        """Change what is reported of a watched descriptor; re-arms one that was reported ONCE."""

    def remove(self, fd: int) -> None:
        """Stop watching; must come before the descriptor is closed."""

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return the ready (descriptor, mask) pairs; None waits without end, 0 does not wait."""

    def wake(self) -> None:
        """Make a `wait` that runs now, or the next one, return at once. Safe in a signal handler."""

    def close(self) -> None:
        """Give the descriptors of the poller itself back."""


class _Waker:
    """A descriptor that turns readable when somebody calls `wake`; eventfd where there is one, else a socket pair."""

    def __init__(self) -> None:
        self._pair: tuple[socket.socket, socket.socket] | None = None
        if hasattr(os, "eventfd"):
            self.fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            return
        self._pair = socket.socketpair()
        for end in self._pair:
            end.setblocking(False)
        self.fd = self._pair[0].fileno()

    def wake(self) -> None:
        # A full counter or pipe means that a wake-up is already on its way; a closed one that nobody waits any more.
        with contextlib.suppress(OSError):
            if self._pair is None:
                os.write(
                    self.fd, b"\x01\x00\x00\x00\x00\x00\x00\x00" if sys.byteorder == "little" else b"\0" * 7 + b"\1"
                )
            else:
                self._pair[1].send(b"\0")

    def drain(self) -> None:
        with contextlib.suppress(OSError):
            if self._pair is None:
                os.read(self.fd, 8)
            else:
                self._pair[0].recv(4096)

    def close(self) -> None:
        if self._pair is None:
            # A task that outlives the server may still call `wake`, and the number belongs to somebody else soon.
            fd, self.fd = self.fd, -1
            if fd >= 0:
                os.close(fd)
            return
        for end in self._pair:
            end.close()


class EpollPoller:
    """Linux. The cost of `wait` does not depend on how many descriptors are watched."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._waker = _Waker()
        self._epoll.register(self._waker.fd, READ)
        self.add = self._epoll.register
        self.modify = self._epoll.modify
        self.remove = self._epoll.unregister
        self.wake = self._waker.wake

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready."""
        # PyPy's epoll takes numbers alone; with CPython's, too, a negative one waits without end.
        events = self._epoll.poll(-1 if timeout_seconds is None else timeout_seconds, MAX_EVENTS)
        waker = self._waker.fd
        # One pass in C finds whether the waker is among them; it nearly never is.
        if (waker, READ) in events:
            self._waker.drain()
            events.remove((waker, READ))
        return events

    def close(self) -> None:
        """Give the descriptors back."""
        self._epoll.close()
        self._waker.close()


class KqueuePoller:
    """macOS and the BSDs. One filter for reading, one for writing; the end of the peer's data is a flag of both."""

    def __init__(self) -> None:
        self._kqueue = select.kqueue()  # type: ignore[attr-defined,unused-ignore]  # not on Linux
        self._waker = _Waker()
        self._masks: dict[int, int] = {}
        self.add(self._waker.fd, READ)
        self.wake = self._waker.wake

    def _change(self, fd: int, filter_id: int, flags: int, lowest: int = 0) -> None:
        note = select.KQ_NOTE_LOWAT if lowest else 0  # type: ignore[attr-defined,unused-ignore]  # not on Linux
        event = select.kevent(fd, filter_id, flags, note, lowest)  # type: ignore[attr-defined,unused-ignore]  # the same
        with contextlib.suppress(FileNotFoundError):
            self._kqueue.control([event], 0, 0)

    def add(self, fd: int, mask: int) -> None:
        """Begin to watch a descriptor."""
        self._masks[fd] = 0
        self.modify(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """Change what is reported of a descriptor."""
        self._masks[fd] = mask
        once = select.KQ_EV_ONESHOT if mask & ONCE else 0  # type: ignore[attr-defined,unused-ignore]  # not on Linux
        add, delete = select.KQ_EV_ADD | once, select.KQ_EV_DELETE  # type: ignore[attr-defined,unused-ignore]
        reads = mask & (READ | PEER_CLOSED)
        # Who waits only for the client's end must not be told of bytes: they are pending until the task is done.
        lowest = 0 if mask & READ or not reads else MORE_THAN_EVER_BYTES
        self._change(fd, select.KQ_FILTER_READ, add if reads else delete, lowest)  # type: ignore[attr-defined,unused-ignore]
        self._change(fd, select.KQ_FILTER_WRITE, add if mask & WRITE else delete)  # type: ignore[attr-defined,unused-ignore]

    def remove(self, fd: int) -> None:
        """Stop watching a descriptor."""
        self.modify(fd, 0)
        self._masks.pop(fd, None)

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready."""
        ready: dict[int, int] = {}
        for event in self._kqueue.control(None, MAX_EVENTS, timeout_seconds):
            if event.ident == self._waker.fd:
                self._waker.drain()
                continue
            mask = WRITE if event.filter == select.KQ_FILTER_WRITE else READ  # type: ignore[attr-defined,unused-ignore]
            if event.flags & select.KQ_EV_EOF:  # type: ignore[attr-defined,unused-ignore]  # not on Linux
                mask |= PEER_CLOSED if mask == READ and not event.fflags else GONE
            ready[event.ident] = ready.get(event.ident, 0) | mask
        return list(ready.items())

    def close(self) -> None:
        """Give the descriptors back."""
        self._kqueue.close()
        self._waker.close()


class SelectPoller:
    """Windows and whatever else has neither. Costs grow with the number of descriptors; correct, not fast."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _masks, which any thread may change while another one waits
        self._masks: dict[int, int] = {}
        self._waiting = False  # a thread is inside `wait`; under the lock
        self._waker = _Waker()

    def add(self, fd: int, mask: int) -> None:
        """Begin to watch a descriptor."""
        self.modify(fd, mask)

    def modify(self, fd: int, mask: int) -> None:
        """Change what is reported of a descriptor."""
        with self._lock:
            self._masks[fd] = mask
            waiting = self._waiting
        if waiting:
            self.wake()

    def remove(self, fd: int) -> None:
        """Stop watching a descriptor."""
        with self._lock:
            del self._masks[fd]
            waiting = self._waiting
        if waiting:
            self.wake()

    def wake(self) -> None:
        """End the present or the next `wait`."""
        self._waker.wake()

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready."""
        with self._lock:
            masks = dict(self._masks)
            self._waiting = True
        readers = [fd for fd, mask in masks.items() if mask & (READ | PEER_CLOSED)]
        writers = [fd for fd, mask in masks.items() if mask & WRITE]
        try:
            readable, writable, _ = select.select([self._waker.fd, *readers], writers, writers, timeout_seconds)
        except (OSError, ValueError):
            return []  # a descriptor was closed meanwhile; the next turn sees the new set
        finally:
            self._waiting = False
        ready: dict[int, int] = {}
        for fd in readable:
            if fd == self._waker.fd:
                self._waker.drain()
            else:
                ready[fd] = READ if masks[fd] & READ else _look_for_the_end(fd)
        for fd in writable:
            ready[fd] = ready.get(fd, 0) | WRITE
        self._disarm(ready)
        return [(fd, found) for fd, found in ready.items() if found]

    def _disarm(self, ready: dict[int, int]) -> None:
        """What was to be told once is not told again; nor is a parked client looked at again that has sent bytes."""
        with self._lock:
            for fd, found in ready.items():
                mask = self._masks.get(fd, 0)  # 0: removed meanwhile
                if mask and not found:
                    self._masks[fd] = mask & ~PEER_CLOSED
                elif mask & ONCE:
                    self._masks[fd] = 0

    def close(self) -> None:
        """Give the descriptors back."""
        self._waker.close()


def _look_for_the_end(fd: int) -> int:
    """Say why a parked descriptor is readable: its client has ended or died; 0 when there are only bytes."""
    try:
        with socket.fromfd(fd, socket.AF_INET, socket.SOCK_STREAM) as sock:
            return 0 if sock.recv(1, socket.MSG_PEEK) else PEER_CLOSED
    except BlockingIOError:
        return 0
    except OSError:
        return HANGUP


def build_poller() -> Poller:
    """Return the best poller that this platform has."""
    if hasattr(select, "epoll"):
        return EpollPoller()
    if hasattr(select, "kqueue"):
        return KqueuePoller()
    return SelectPoller()
