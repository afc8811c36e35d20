"""Listening sockets that the service manager keeps while the service restarts (systemd's file descriptor store).

A socket that is kept there stays open whatever becomes of this process: clients that come meanwhile wait in its
backlog, and the next start takes it over by its address. No socket unit is needed for that.
"""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final
from urllib.parse import quote, unquote

from waitressd.net.listener import Listener, identity_of
from waitressd.systemd import Notifier, passed_descriptors

PREFIX: Final = "waitressd-"
NAME_LENGTH: Final = 255  # at most (sd_pid_notify_with_fds(3))
_NO_COLON: Final = "/[]@-"  # which would end a name

Place = tuple[int, object]
"""A family and an address of it, as the socket module writes them."""


class FdStore:
    """What the service manager keeps for this server. One thread.

    It is kept in step with the listeners from the start on, so that a crash loses nobody either.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._names: set[str] = set()

    def keep(self, listeners: Iterable[Listener]) -> None:
        """Have these kept, as far as they were bound here and there is room, and nothing else.

        To be called again when there are others.
        """
        room = self._notifier.store_size
        wanted = {name: listener for listener in listeners if room and (name := _name_of(listener))}
        if unwanted := self._names - wanted.keys():
            self._names -= unwanted
            self._notifier.unstore(unwanted)
        for name, listener in wanted.items():
            # Said before it is so: a signal may stop the server between the two.
            listener.is_kept = name in self._names or len(self._names) < room
            if listener.is_kept and name not in self._names:
                listener.is_kept = self._notifier.store(name, listener.fd)
                self._names |= {name} if listener.is_kept else set()


def keep_while_serving(on_ready: list[Callable[[str], object]], listeners: Sequence[Listener]) -> None:
    """Have the listeners of a server kept once it serves (`on_ready`), where the service manager does that.

    The thread that runs the server, before it does.
    """
    store = FdStore(Notifier())

    def keep(_serving: str) -> None:
        store.keep(listeners)

    if threading.current_thread() is threading.main_thread():  # else it is a part of a program that is the service
        on_ready.append(keep)


def _name_of(listener: Listener) -> str:
    """Name a listener by its address, or return an empty text for one that nobody could find again."""
    try:
        address = listener.address
    except OSError:  # a stop that came with the start has closed it
        return ""
    if listener.bound_by != os.getpid() or listener.asked.endswith(":0"):  # a port that the system chooses
        return ""
    if isinstance(address, tuple):
        name = listener.name
    elif listener.unix_path is not None and (identity := identity_of(listener.unix_path)):
        # With the file, which may be another one's by the next start.
        name = f"unix:{listener.unix_path}@{identity[0]}.{identity[1]}"
    else:
        return ""
    name = PREFIX + quote(name, _NO_COLON, errors="surrogateescape")
    return name if len(name) <= NAME_LENGTH else ""


def take_kept(wanted: Collection[Place]) -> dict[Place, Listener]:
    """Take over what the service manager has kept for these places, and have it close the rest.

    Once in the life of a process. What cannot be used is left out: its file is gone, or it does not listen any more.
    """
    found: dict[Place, Listener] = {}
    unwanted: list[str] = []
    for name, fd in passed_descriptors(PREFIX):
        listener = _take(name, fd)
        place = (-1, "") if listener is None else (listener.family, listener.unix_path or listener.address)
        if listener is None or place not in wanted or place in found:
            unwanted.append(name)
            if listener is not None:
                listener.close()
        else:
            found[place] = listener
    if unwanted:  # now: their addresses may be bound next, in another way
        Notifier().unstore(unwanted)
    return found


def _take(name: str, fd: int) -> Listener | None:
    """Make a listener of a descriptor, or close it."""
    try:
        sock = socket.socket(fileno=fd)
    except OSError:  # no socket, or not even open
        with contextlib.suppress(OSError):
            os.close(fd)
        return None
    sock.set_inheritable(False)
    path = _path_of(name) if sock.family == getattr(socket, "AF_UNIX", None) else None
    if not _is_usable(sock) or path == "":
        sock.close()
        return None
    listener = Listener(sock, path)
    listener.is_kept = True
    return listener


def _is_usable(sock: socket.socket) -> bool:
    """Whether it is one as this server opens them."""
    if sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return False
    return sock.family != socket.AF_INET6 or bool(sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))


def _path_of(name: str) -> str:
    """Return the file of a Unix socket, which is still there; empty if clients would find another one, or none."""
    text = unquote(name.removeprefix(PREFIX), errors="surrogateescape").removeprefix("unix:")
    path, _, file = text.rpartition("@")
    identity = identity_of(path)
    return path if identity is not None and file == f"{identity[0]}.{identity[1]}" else ""
