"""What makes it unwise to fork workers from a process in which the application has been loaded.

A forked process has one thread, the one that forked, and shares every descriptor: a connection to a database would be
used by all workers at once. Looked for in what Python knows of its threads and Linux of the descriptors; nothing that
is looked at is changed. Threads of C libraries alone are no hazard: importing numpy makes one.
"""

import contextlib
import gc
import os
import socket
import stat
import sys
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_DESCRIPTORS: Final = Path("/proc/self/fd")
_FLAGS: Final = Path("/proc/self/fdinfo")
_STANDARD_STREAMS: Final = ("0", "1", "2")
_SHOWN: Final = 4  # a pool of threads need not be named one by one

# By what /proc/self/fd calls them. They share their state with the parent, and report to whoever asks first.
_ANONYMOUS: Final = {
    "anon_inode:[eventpoll]": "an epoll descriptor",
    "anon_inode:[eventfd]": "an event descriptor",
    "anon_inode:[timerfd]": "a timer descriptor",
    "anon_inode:[signalfd]": "a signal descriptor",
    "anon_inode:[io_uring]": "an io_uring descriptor",
    "anon_inode:inotify": "an inotify descriptor",
    "anon_inode:[fanotify]": "a fanotify descriptor",
}
# Device numbers (Linux, admin-guide/devices.txt): null, zero, full, random, urandom; consoles, terminals, pseudo ones.
_MEMORY_DEVICES: Final = frozenset({3, 5, 7, 8, 9})
_TERMINALS: Final = frozenset({4, 5, *range(136, 144)})


@dataclass(frozen=True, slots=True)
class Hazard:
    """One thing that a fork would break."""

    words: str
    """What it is, as in "a connection to 10.0.0.5:5432"."""
    link: str = ""
    """What the system says that its descriptor leads to; numbers say nothing, for they are used again."""

    def __str__(self) -> str:
        """Name it."""
        return self.words


def find_hazards(known: Collection[Hazard] = ()) -> list[Hazard]:
    """Return what stands against a fork now, in the thread that would fork; of descriptors those that are not `known`.

    `known` is what was found before the application was loaded: it belongs to the server, to its parent, or to logging.
    Threads always count. What nobody holds any more is closed first, as far as Python's garbage collection does that.
    """
    gc.collect()
    # Counted, since all epoll descriptors lead to one place, and a file may be opened again.
    return [*_threads(), *(Counter(_descriptors()) - Counter(known))]


def explain(hazards: Sequence[Hazard]) -> str:
    """Say why workers are not forked from this process: what follows "preload is off: "."""
    names = list(dict.fromkeys(hazard.words for hazard in hazards))
    if len(names) > _SHOWN + 1:
        names[_SHOWN:] = [f"{len(names) - _SHOWN} more"]
    *first, last = names
    together = f"{', '.join(first)} and {last}" if first else last
    return f"the application left {together} open"


def _threads() -> Iterator[Hazard]:
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    # There are threads that `threading` has not heard of.
    for ident in sys._current_frames().keys() | names.keys():  # noqa: SLF001 - documented, the name warns of its cost
        if ident is not None and ident != threading.get_ident():
            yield Hazard(f"the thread {' '.join(names.get(ident, str(ident)).split())}")


def _descriptors() -> Iterator[Hazard]:
    links = dict(_links())
    streams = {links[number] for number in _STANDARD_STREAMS if number in links}
    for number, link in links.items():
        if link not in streams:
            with contextlib.suppress(OSError):  # closed meanwhile, as the listing itself is
                words = _words(int(number), link)
                if words:
                    yield Hazard(words, link)


def _links() -> Iterator[tuple[str, str]]:
    with contextlib.suppress(OSError):  # no Linux
        for number in sorted(os.listdir(_DESCRIPTORS), key=int):  # noqa: PTH208 - names are all that is needed
            with contextlib.suppress(OSError):
                yield number, os.readlink(_DESCRIPTORS / number)  # noqa: PTH115 - a name, which may be no path


def _words(number: int, link: str) -> str:
    """Say what is wrong with a descriptor; nothing if it may be shared."""
    if link in _ANONYMOUS:
        return _ANONYMOUS[link]
    found = os.stat(number)
    if stat.S_ISSOCK(found.st_mode):
        return _connection(number)
    if stat.S_ISREG(found.st_mode):
        return f"the file {link}" if _is_overwriting(number) else ""
    if stat.S_ISCHR(found.st_mode):
        major, minor = os.major(found.st_rdev), os.minor(found.st_rdev)
        is_harmless = major in _TERMINALS or (major == 1 and minor in _MEMORY_DEVICES)
        return "" if is_harmless else f"the device {link}"
    return ""


def _is_overwriting(number: int) -> bool:
    """Whether a file is written to from a place that all its users share, and not always at its end."""
    for line in (_FLAGS / str(number)).read_text(encoding="ascii").splitlines():
        if line.startswith("flags:"):
            flags = int(line.split()[1], 8)
            return bool(flags & (os.O_WRONLY | os.O_RDWR)) and not flags & os.O_APPEND
    return False


def _connection(number: int) -> str:
    """Name the other end of a stream. A listening socket may be shared, and each datagram is whole by itself."""
    sock = _open_without_timeout(number)
    try:
        if sock.type == socket.SOCK_DGRAM:
            return ""
        peer = sock.getpeername()  # raises OSError without one
    finally:
        sock.detach()
    if isinstance(peer, tuple) and len(peer) > 1 and sock.family in (socket.AF_INET, socket.AF_INET6):
        host, port = peer[:2]
        return f"a connection to [{host}]:{port}" if ":" in host else f"a connection to {host}:{port}"
    name = os.fsdecode(peer).replace("\0", "@") if isinstance(peer, str | bytes) else str(peer)
    return f"a connection to unix:{name}" if name else "one end of a socket pair"


def _open_without_timeout(number: int) -> socket.socket:
    """Make a socket object around a descriptor that stays its owner's.

    With a default timeout the object would make the descriptor non-blocking, for its owner as well.
    """
    default = socket.getdefaulttimeout()
    if default is None:
        return socket.socket(fileno=number)
    socket.setdefaulttimeout(None)
    try:
        return socket.socket(fileno=number)
    finally:
        socket.setdefaulttimeout(default)
