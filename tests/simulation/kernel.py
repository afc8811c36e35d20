"""A small model of the kernel: descriptors, sockets, a listening socket, a poller, and the faults that they have.

Descriptor numbers are used again at once, as the real ones are. Reads come in pieces, writes are cut short, readiness
may be spurious, accepting runs out of descriptors: all by the seed. Using a closed descriptor is a violation.
"""

import errno
import heapq
import socket
from typing import TYPE_CHECKING, Any, Final

from tests.simulation.scheduler import Scheduler
from waitressd.net.poller import ERROR, HANGUP, ONCE, PEER_CLOSED, READ, WRITE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.simulation.scheduler import Actor

DISARMED: Final = -1
SURPRISES: Final = 8  # on one connection; more in a row are a busy loop, which the server ends
IDLE_POLLS: Final = 4  # waits in a row that return at once although nothing happens in between


class Faults:
    """How often the kernel misbehaves; each a probability."""

    def __init__(self, scheduler: Scheduler) -> None:
        choose = scheduler.random.choice
        self.short_read = choose((0.0, 0.3, 0.9))
        self.short_write = choose((0.0, 0.3, 0.7))
        self.spurious = choose((0.0, 0.0, 0.05))
        self.would_block = choose((0.0, 0.0, 0.1))
        self.accept = choose((0.0, 0.0, 0.0, 0.1, 0.5))
        self.disk = choose((0.0, 0.0, 0.0, 0.3, 1.0))
        self.control = choose((0.0, 0.0, 0.0, 0.0, 0.02))  # a poller's registration fails
        self.batch = choose((1, 3, 256))
        self.send_buffer_bytes = choose((64, 1000, 100_000))

    def end(self) -> None:
        """From now on the machine is a good one."""
        self.spurious = self.accept = self.disk = self.control = self.would_block = 0.0


class Kernel:
    """One machine."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self.faults = Faults(scheduler)
        self.had_control_faults = self.faults.control > 0
        self.sockets: dict[int, Any] = {}
        self.progress = 0  # whatever happens that anybody could notice
        self.poller: SimPoller | None = None
        self._free: list[int] = list(range(100, 400))

    def open(self, what: object) -> int:
        """Give the lowest free number to a socket."""
        fd = heapq.heappop(self._free)
        self.sockets[fd] = what
        return fd

    def release(self, fd: int) -> None:
        """Take a number back."""
        assert self.poller is not None
        if fd in self.poller.masks:
            self.scheduler.violate(f"descriptor {fd} is closed while the poller watches it")
        del self.sockets[fd]
        heapq.heappush(self._free, fd)

    def chance(self, probability: float) -> bool:
        """Whether something happens that happens with this probability."""
        return probability > 0 and self.scheduler.random.random() < probability

    def happened(self) -> None:
        """Something changed: whoever polls looks again."""
        self.progress += 1
        if self.poller is not None:
            self.poller.poke()


class SimSocket:
    """The server's end of one connection, and the pipe to the client's."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self, kernel: Kernel, number: int) -> None:
        self.kernel = kernel
        self.number = number
        self.inbox = bytearray()  # sent by the client, not read by the server
        self.outbox = bytearray()  # sent by the server, not read by the client
        self.client_finished = False
        self.is_reset = False  # by the client
        self.is_shut = False  # by the server: FIN follows the outbox
        self.is_dead = False  # both ways, by the server's shutdown
        self.is_broken = False  # the client gets a reset, whatever lies in the outbox
        self.is_closed = False
        self.aborts = False  # SO_LINGER says that close resets
        self.gives_up = False  # the client has closed: what is sent to it is answered by a reset
        self.on_output: Callable[[], None] = lambda: None  # tells the client
        self.surprises = 0  # events that gave nothing
        self.was_accepted = False
        self.is_revoked = False  # nobody may send any more
        self.is_sealed = False  # by TLS, so that nothing goes out but what that sends
        self._peeked_bytes = 0  # which the next read gets
        self.fd = -1
        self.received_at = self.sent_at = self.taken_at = kernel.scheduler.now

    # -- what the poller sees

    @property
    def room(self) -> int:
        """Bytes that the send buffer takes."""
        return max(0, self.kernel.faults.send_buffer_bytes - len(self.outbox))

    @property
    def readiness(self) -> int:
        """The events that hold now."""
        found = 0
        if self.inbox or self.client_finished or self.is_reset or self.is_dead:
            found |= READ
        if self.room > self.kernel.faults.send_buffer_bytes // 3 or self.is_reset or self.is_dead:
            found |= WRITE
        if self.client_finished or self.is_reset or self.is_dead:
            found |= PEER_CLOSED
        if self.is_reset or self.is_dead or (self.client_finished and self.is_shut):
            found |= HANGUP
        if self.is_reset:
            found |= ERROR
        return found

    # -- what the server calls

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self.fd

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the socket's own name
        """Nothing here blocks."""

    def _enter(self, what: str) -> None:
        if self.is_closed:
            self.kernel.scheduler.violate(f"{what} on connection {self.number}, which is closed")
        self.kernel.scheduler.switch()
        if self.is_closed:
            self.kernel.scheduler.violate(f"connection {self.number} was closed by another thread during {what}")

    def expect(self, count: int) -> None:
        """The next read gets what there is."""
        self._peeked_bytes = count

    def recv(self, count: int, flags: int = 0) -> bytes:
        """Read some of what there is."""
        self._enter("recv")
        kernel = self.kernel
        if self.is_reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        is_sure = bool(flags) or count <= self._peeked_bytes
        if not is_sure and self.surprises < SURPRISES and kernel.chance(kernel.faults.would_block):
            self.surprises += 1
            kernel.scheduler.sometimes["spurious would-block"] += 1
            kernel.progress += 1
            raise BlockingIOError(errno.EAGAIN, "not now")
        if not self.inbox:
            if self.client_finished or self.is_dead:
                kernel.progress += 1
                return b""
            raise BlockingIOError(errno.EAGAIN, "nothing")
        count = min(count, len(self.inbox))
        if flags:
            self._peeked_bytes = count
            return bytes(self.inbox[:count])
        self._peeked_bytes = 0
        if count > 1 and not is_sure and kernel.chance(kernel.faults.short_read):
            count = kernel.scheduler.random.randint(1, count)
        data = bytes(self.inbox[:count])
        del self.inbox[:count]
        kernel.progress += 1
        self.received_at = kernel.scheduler.now
        kernel.scheduler.note(f"recv {self.number}: {data[:60]!r} ({count})")
        return data

    def send(self, data: "bytes | memoryview") -> int:
        """Take some of it."""
        if self.is_sealed:
            self.kernel.scheduler.violate(f"connection {self.number} is written to below TLS")
        self.check_owner()
        return self.send_sealed(data)

    def check_owner(self) -> None:
        """Whoever begins to write must still have the request, or find the socket shut.

        It may be taken between the task's last look and its write; but then nothing can go out any more.
        """
        if self.is_revoked and not (self.is_dead or self.is_reset):
            self.kernel.scheduler.violate(f"a task writes to {self.number} although its request was taken from it")

    def send_sealed(self, data: "bytes | memoryview") -> int:
        """What TLS calls instead."""
        self._enter("send")
        kernel = self.kernel
        if self.is_reset:
            raise ConnectionResetError(errno.ECONNRESET, "reset")
        if self.is_shut or self.is_dead:
            raise BrokenPipeError(errno.EPIPE, "shut")
        count = min(len(data), self.room)
        if not count or (self.surprises < SURPRISES and kernel.chance(kernel.faults.would_block)):
            self.surprises += 1
            raise BlockingIOError(errno.EAGAIN, "full")
        if count > 1 and kernel.chance(kernel.faults.short_write):
            count = kernel.scheduler.random.randint(1, count)
        if self.gives_up:
            self.is_reset = True
            return count
        self.outbox += data[:count]
        kernel.progress += 1
        self.on_output()
        self.sent_at = kernel.scheduler.now
        kernel.scheduler.note(f"send {self.number}: {bytes(data[:60])!r} ({count} of {len(data)})")
        return count

    def sendmsg(self, parts: "Sequence[bytes | memoryview]") -> int:
        """Take some of them."""
        return self.send(b"".join(parts))

    def shutdown(self, how: int) -> None:
        """End our side, or both."""
        self._enter("shutdown")
        if self.is_reset:
            raise OSError(errno.ENOTCONN, "not connected")
        self.is_shut = True
        if how == socket.SHUT_RDWR:
            self.is_dead = True
        self.kernel.scheduler.note(f"shutdown {self.number}: {how}")
        self.on_output()
        self.kernel.happened()

    def setsockopt(self, _level: int, option: int, _value: object) -> None:
        """Only SO_LINGER means anything here."""
        if option == socket.SO_LINGER:
            self.aborts = True

    def close(self) -> None:
        """Give the descriptor back; what the client has sent and nobody read turns into a reset."""
        if self.is_closed:
            self.kernel.scheduler.violate(f"connection {self.number} is closed twice")
        self._enter("close")
        self.kernel.scheduler.note(f"close {self.number}, {len(self.inbox)} bytes unread")
        self.is_closed = self.is_shut = True
        if self.inbox or self.aborts:
            self.break_off()
        self.kernel.release(self.fd)
        self.fd = -1
        self.on_output()
        self.kernel.happened()

    def break_off(self) -> None:
        """Send a reset; it may overtake what the client has not read yet."""
        self.is_broken = True
        if self.aborts or self.kernel.chance(0.5):
            self.outbox.clear()

    # -- what the client does

    def push(self, data: bytes) -> None:
        """Bytes arrive at the server."""
        if self.is_closed or self.is_dead:
            self.break_off()  # nobody is there: the answer is a reset
        elif not self.is_reset:
            self.inbox += data
        self.kernel.happened()

    def finish(self) -> None:
        """FIN arrives at the server."""
        self.client_finished = True
        self.kernel.happened()

    def reset(self) -> None:
        """RST arrives at the server."""
        self.is_reset = True
        self.inbox.clear()
        self.outbox.clear()
        self.kernel.happened()

    def pull(self, count: int) -> bytes:
        """The client reads what is there. Raises ConnectionResetError; b'' may mean that nothing is there yet."""
        if self.is_broken and not self.outbox:
            raise ConnectionResetError
        data = bytes(self.outbox[:count])
        del self.outbox[:count]
        if data:
            self.taken_at = self.kernel.scheduler.now
            self.kernel.happened()
        return data

    @property
    def is_at_end(self) -> bool:
        """Whether the client sees FIN next."""
        return self.is_shut and not self.outbox and not self.is_broken


class SimListenSocket:
    """A socket that accepts."""

    family = socket.AF_INET
    type = socket.SOCK_STREAM

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self.backlog: list[tuple[SimSocket, tuple[str, int]]] = []
        self.is_closed = False
        self.is_sealed = False
        self.fd = kernel.open(self)

    @property
    def readiness(self) -> int:
        """READ when somebody waits."""
        return READ if self.backlog else 0

    def fileno(self) -> int:
        """Return the descriptor, -1 when closed."""
        return self.fd

    def getsockname(self) -> tuple[str, int]:
        """Return an address."""
        return ("127.0.0.1", 80)

    def setblocking(self, flag: bool) -> None:  # noqa: FBT001 - the socket's own name
        """Nothing here blocks."""

    def setsockopt(self, level: int, option: int, value: bytes) -> None:
        """Take a filter: whoever begins a handshake from now on is not answered."""
        self.is_sealed = True

    def accept(self) -> tuple[SimSocket, tuple[str, int]]:
        """Take one from the backlog."""
        if self.is_closed:
            self.kernel.scheduler.violate("accept on a closed listener")
        kernel = self.kernel
        kernel.scheduler.switch()
        if not self.backlog:
            raise BlockingIOError(errno.EAGAIN, "nobody")
        if kernel.chance(kernel.faults.accept):
            number = kernel.scheduler.random.choice((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ECONNABORTED))
            kernel.scheduler.sometimes[f"accept fails with {errno.errorcode[number]}"] += 1
            kernel.progress += 1
            raise OSError(number, "no")
        sock, address = self.backlog.pop(0)
        sock.fd = kernel.open(sock)
        sock.was_accepted = True
        kernel.progress += 1
        return sock, address

    def close(self) -> None:
        """Who is in the backlog is reset."""
        self.is_closed = True
        for sock, _ in self.backlog:
            sock.is_closed = True
            sock.break_off()
            sock.on_output()
        self.backlog.clear()
        self.kernel.release(self.fd)
        self.fd = -1


class SimPoller:
    """A level-triggered poller with ONCE, as epoll."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        kernel.poller = self
        self.masks: dict[int, int] = {}  # DISARMED after a report ONCE
        self.is_awake = False
        self.controls = 0  # calls that change a registration
        self._waiting: Actor | None = None
        self._seen_progress = -1
        self._idle_polls = 0

    def add(self, fd: int, mask: int) -> None:
        """Begin to watch."""
        self._control(fd)
        if fd in self.masks:
            raise FileExistsError(errno.EEXIST, "watched already")
        self.masks[fd] = mask
        self.poke()

    def modify(self, fd: int, mask: int) -> None:
        """Change what is reported."""
        self._control(fd)
        if fd not in self.masks:
            raise FileNotFoundError(errno.ENOENT, "not watched")
        self.masks[fd] = mask
        self.poke()

    def remove(self, fd: int) -> None:
        """Stop watching."""
        if fd not in self.masks:
            raise FileNotFoundError(errno.ENOENT, "not watched")
        del self.masks[fd]

    def _control(self, fd: int) -> None:
        self.controls += 1
        if fd not in self.kernel.sockets:
            raise OSError(errno.EBADF, "no such descriptor")
        if self.kernel.scheduler.current is not None and self.kernel.chance(self.kernel.faults.control):
            self.kernel.scheduler.sometimes["registration fails"] += 1
            raise OSError(errno.ENOMEM, "no memory")

    def wait(self, timeout_seconds: float | None) -> list[tuple[int, int]]:
        """Return what is ready."""
        scheduler = self.kernel.scheduler
        self._check_idle_polls()
        scheduler.switch()
        end = None if timeout_seconds is None else scheduler.now + timeout_seconds
        while not (found := self._ready()) and not self.is_awake and (end is None or scheduler.now < end):
            self._idle_polls = 0
            self._waiting = scheduler.current
            scheduler.block(None if end is None else end - scheduler.now)
            self._waiting = None
        if self.is_awake:
            self.is_awake = False
            self.kernel.progress += 1
        scheduler.note(f"poll: {found}")
        return found

    def _ready(self) -> list[tuple[int, int]]:
        kernel = self.kernel
        found = []
        for fd, mask in sorted(self.masks.items()):
            if mask != DISARMED:
                events = kernel.sockets[fd].readiness & (mask | HANGUP | ERROR)
                if not events and mask & READ and self._is_surprising(fd):
                    kernel.scheduler.sometimes["spurious readiness"] += 1
                    kernel.progress += 1
                    events = READ
                if events:
                    found.append((fd, events))
        kernel.scheduler.random.shuffle(found)
        del found[kernel.faults.batch :]
        for fd, _ in found:
            if self.masks[fd] & ONCE:
                self.masks[fd] = DISARMED
        return found

    def _is_surprising(self, fd: int) -> bool:
        sock = self.kernel.sockets[fd]
        if not isinstance(sock, SimSocket) or sock.surprises >= SURPRISES:
            return False
        found = self.kernel.chance(self.kernel.faults.spurious)
        sock.surprises += found
        return found

    def _check_idle_polls(self) -> None:
        """A loop that polls again and again while nothing at all happens is a busy one."""
        if self.kernel.progress != self._seen_progress:
            self._seen_progress = self.kernel.progress
            self._idle_polls = 0
            return
        self._idle_polls += 1
        if self._idle_polls > IDLE_POLLS:
            self.kernel.scheduler.violate("the event loop turns without progress")

    def wake(self) -> None:
        """End the present wait, or the next."""
        self.is_awake = True
        self.poke()

    def poke(self) -> None:
        """Somebody should look again."""
        if self._waiting is not None:
            self.kernel.scheduler.wake(self._waiting)

    def close(self) -> None:
        """Nobody polls any more."""
