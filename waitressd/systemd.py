"""What systemd and a service have to say to each other: readiness, watchdog, inherited sockets. No library is needed.

The protocol is a datagram of ``NAME=value`` lines to the socket in ``NOTIFY_SOCKET`` (sd_notify(3)), and descriptors
from 3 upwards described by ``LISTEN_FDS`` and ``LISTEN_FDNAMES`` (sd_listen_fds(3)). Outside systemd nothing happens.
"""

import contextlib
import errno
import os
import select
import socket
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

FIRST_DESCRIPTOR: Final = 3
BARRIER_SECONDS: Final = 1.0  # that a manager gets to do what it was told


class Notifier:
    """Tells the service manager what the server does. Any thread; never raises, since no request depends on it."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract address.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._process = os.getpid()  # one that is forked from it has nothing to say
        self.watchdog_seconds = _watchdog_seconds(environ) if self._address else 0.0
        """How often at least `alive` must be said; 0 when nobody waits for it."""
        self.store_size = _store_size(environ) if self._address else 0
        """How many descriptors the manager keeps for the next start; 0 when it keeps none, or does not say."""

    def ready(self, status: str) -> None:
        """Say that the server accepts connections: after the start, and after a reload."""
        self._send(f"READY=1\nSTATUS={_one_line(status)}")

    def reloading(self) -> None:
        """Say that log files and the like are opened anew; `ready` must follow."""
        # The time lets systemd tell this reload from an earlier one (Type=notify-reload).
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def status(self, status: str) -> None:
        """Say how it is, in a sentence."""
        self._send(f"STATUS={_one_line(status)}")

    def stopping(self, status: str) -> None:
        """Say that the server accepts no more connections and finishes what has begun."""
        self._send(f"STOPPING=1\nSTATUS={_one_line(status)}")

    def extend_stop(self, seconds: float) -> None:
        """Ask for time to drain, so that the manager does not kill before `shutdown_timeout` has passed."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1_000_000)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def store(self, name: str, fd: int) -> bool:
        """Have a descriptor kept for the next start; False when that could not even be said.

        The manager does not keep one twice that it has already.
        """
        return self._send(f"FDSTORE=1\nFDNAME={name}", [fd])

    def unstore(self, names: Iterable[str]) -> None:
        """Have these descriptors closed that are kept; returns when that is done, or after `BARRIER_SECONDS`."""
        for name in names:
            self._send(f"FDSTOREREMOVE=1\nFDNAME={name}")
        ours, theirs = os.pipe()
        try:
            self._send("BARRIER=1", [theirs])
        finally:
            os.close(theirs)
        # The manager closes its copy when it has read what was sent before; where there is none, that is so at once.
        poller = select.poll()
        poller.register(ours, 0)
        poller.poll(BARRIER_SECONDS * 1000)
        os.close(ours)

    def _send(self, message: str, descriptors: Sequence[int] = ()) -> bool:
        if not self._address or self._process != os.getpid():
            return False
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))] if descriptors else []
        # A manager that is gone or busy must not stop a server that works.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendmsg([message.encode()], passed, 0, self._address)
            return True
        return False


class Pulse(Protocol):
    """Whether the event loops of the server live; `waitressd.net.pulse.Pulse` is one."""

    @property
    def is_whole(self) -> bool:
        """Whether all of their threads are there."""

    def poke(self, now: float, /) -> float:
        """Make them turn; return for how many seconds an earlier poke has been unanswered."""


class ServiceManager:
    """What the service manager is told: each thing at its time, and once. The thread inside `Server.run`."""

    def __init__(self, notifier: Notifier, pulse: Pulse) -> None:
        self._notifier = notifier
        self._pulse = pulse
        self._stops = False
        self._serving = ""
        self._due = 0.0  # when the watchdog is fed next, monotonic seconds

    def ready(self, serving: str) -> None:
        """The server accepts connections; `serving` is what the status shows from now on."""
        self._serving = serving
        self._notifier.ready(serving)

    def reopened(self, reopen: Callable[[], object]) -> None:
        """Do what a reload means, framed by the words for it. Any thread."""
        self._notifier.reloading()
        reopen()
        self._notifier.ready(self._serving)

    def stopping(self, status: str, seconds: float) -> None:
        """The server finishes what has begun, for so many seconds at most; said once."""
        if not self._stops:
            self._stops = True
            self._notifier.stopping(status)
            self._notifier.extend_stop(seconds)

    def on_tick(self, now: float) -> None:
        """Feed the watchdog as long as every loop has turned since it was poked, four times in its interval."""
        seconds = self._notifier.watchdog_seconds
        if not seconds or now < self._due:
            return
        self._due = now + seconds / 4
        if self._pulse.is_whole and not self._pulse.poke(now):  # a loop that comes back is noticed at the next look
            self._notifier.alive()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _watchdog_seconds(environ: Mapping[str, str]) -> float:
    usec, pid = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not usec.isdigit() or (pid and pid != str(os.getpid())):
        return 0.0
    return int(usec) / 1_000_000


def _store_size(environ: Mapping[str, str]) -> int:
    size = environ.get("FDSTORE", "")  # from systemd 254 on; before, a unit may say it with Environment=
    return int(size) if size.isdecimal() else 0


def passed_descriptors(prefix: str, environ: Mapping[str, str] = os.environ) -> list[tuple[str, int]]:
    """Return what was passed under names that begin like this, each name with its descriptor."""
    if environ.get("LISTEN_PID") != str(os.getpid()) or not environ.get("LISTEN_FDS", "").isdecimal():
        return []
    names = environ.get("LISTEN_FDNAMES", "").split(":")[: int(environ["LISTEN_FDS"])]
    return [(name, FIRST_DESCRIPTOR + index) for index, name in enumerate(names) if name.startswith(prefix)]


def inherited_descriptors(fd: int | str, environ: Mapping[str, str] = os.environ) -> list[int]:
    """Find the descriptors that ``fd:NUMBER`` or ``fd:NAME`` in `listen` stands for.

    A number is taken as it is. A name is looked up in what systemd passed (``FileDescriptorName=``); a socket unit
    with several addresses passes several descriptors of one name. Raises OSError that says what was passed instead.
    """
    if isinstance(fd, int):
        return [fd]
    names = _passed_names(fd, environ)
    found = [FIRST_DESCRIPTOR + index for index, name in enumerate(names) if name == fd]
    if not found:
        passed = ", ".join(dict.fromkeys(names)) or "none"
        raise OSError(
            errno.ENOENT, f"cannot listen on fd:{fd}: systemd passed no socket of this name (it passed {passed})"
        )
    return found


def _passed_names(fd: str, environ: Mapping[str, str]) -> list[str]:
    count, pid = environ.get("LISTEN_FDS", ""), environ.get("LISTEN_PID", "")
    if not count.isdigit():
        raise OSError(errno.ENOENT, f"cannot listen on fd:{fd}: no sockets were passed (LISTEN_FDS is not set)")
    if pid and pid != str(os.getpid()):
        raise OSError(
            errno.ENOENT, f"cannot listen on fd:{fd}: the sockets were passed to process {pid}, not to this one"
        )
    names = environ.get("LISTEN_FDNAMES", "")
    return names.split(":") if names else ["unknown"] * int(count)
