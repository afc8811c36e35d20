"""One listening socket: how it is opened, how it accepts, what is cleaned up when it closes.

Knows addresses; knows nothing of channels. Every accepted socket is non-blocking and is not inherited by the
application's child processes (PEP 446).
"""

import array
import contextlib
import errno
import os
import socket
import stat
import struct
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from waitressd.net.portowner import tcp_owner, unix_owner

# The connection that should have been accepted is gone already; the next one may be fine (accept(2)).
_PASSING: Final = frozenset(
    {errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.ENOPROTOOPT, errno.EHOSTDOWN, errno.EHOSTUNREACH}
    | {errno.EOPNOTSUPP, errno.ENETUNREACH, errno.EPERM, errno.EINTR, errno.ECONNRESET, errno.ETIMEDOUT}
)
# The error for an address that the machine does not have. If a name has several, as localhost has
# 127.0.0.1 and ::1, the others are enough.
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
CHOICES_OF_PORT: Final = 10  # by the kernel, until one is found that is free for every address
PASSED_OVER: Final = 64  # of those in a row, before the listener itself is taken to be ill

# Of Linux (asm-generic/socket.h); the socket module does not name it. The program is a classic BPF (linux/filter.h:
# code, jt, jf, k) that drops what begins a handshake and lets pass what ends one.
_SO_ATTACH_FILTER: Final = 26
_NO_SYN: Final = (
    (0x30, 0, 0, 13),  # load the octet of the flags (RFC 9293, section 3.1)
    (0x45, 0, 1, 0x02),  # SYN?
    (0x06, 0, 0, 0),  # yes: drop
    (0x06, 0, 0, 0xFFFFFFFF),  # no: the whole packet
)
_PROGRAM: Final = array.array("B", b"".join(struct.pack("HBBI", *line) for line in _NO_SYN))

# What a listener serves: the application in clear or by TLS, nothing but the way to https, or how the server is.
HTTP: Final = "http"
HTTPS: Final = "https"
REDIRECT: Final = "redirect"
ADMIN: Final = "admin"


_CARRIED: Final = ("asked", "service", "bound_by", "proxy_protocol", "is_kept")  # by what goes on with a socket


class Listener:
    """A socket that accepts.

    Owned by the holder of the dispatcher role once the server runs; opened and closed by the server's own thread.
    """

    def __init__(self, sock: socket.socket, unix_path: str | None = None) -> None:
        self.socket = sock
        self.fd = sock.fileno()
        self.family = sock.family
        self.asked = ""  # the address of the configuration that it was opened for, if there is one
        self.unix_path = unix_path  # the socket file to remove at the end; None if it is not ours
        self.is_shared = False  # whether other processes accept from it, too
        self.proxy_protocol = "off"  # which versions of it begin each connection: "off", "v1", "v2" or "any"
        self.service = HTTP  # what is served here
        self._identity = identity_of(unix_path) if unix_path else None
        # The process; one that was forked since then leaves the file alone. 0: bound elsewhere, and it goes on there.
        self.bound_by = os.getpid()
        self.is_kept = False  # whether somebody goes on with it when we close it: the next start, or another copy
        sock.setblocking(False)
        self._accept = _accept_of(sock)

    @classmethod
    def resume(cls, fields: Mapping[str, Any]) -> "Listener":
        """Go on with what `carry` has written down. Raises OSError: the descriptor is no socket."""
        os.set_inheritable(fields["fd"], False)
        listener = cls(socket.socket(fileno=fields["fd"]), fields["unix_path"])
        for name in _CARRIED:
            setattr(listener, name, fields[name])
        return listener

    def carry(self, keep: Callable[[int], int]) -> dict[str, Any]:
        """Write it down for another program in this process, which gets what `keep` is told of."""
        path = None if self.unix_path is None else str(Path(self.unix_path).absolute())
        return {"fd": keep(self.fd), "unix_path": path} | {name: getattr(self, name) for name in _CARRIED}

    def copy(self) -> "Listener":
        """Return another one of the same socket. Raises OSError: the process has no more descriptors."""
        copy = Listener(self.socket.dup(), self.unix_path)
        for name in _CARRIED:
            setattr(copy, name, getattr(self, name))
        return copy

    @property
    def name(self) -> str:
        """The address as people write it: `127.0.0.1:8080`, `[::1]:8080`, `unix:/run/app.sock`."""
        return format_address(self.family, self.address)

    def announce(self, line: str) -> str:
        """Correct a line that says where plain HTTP is served, if something else is."""
        if self.service == HTTPS:
            return line.replace("http://", "https://")
        return f"{line} (leads to https)" if self.service == REDIRECT else line

    @property
    def address(self) -> Any:  # noqa: ANN401 - of a form that depends on the family
        """The address as the socket module writes it."""
        return self.socket.getsockname()

    def accept(self) -> tuple[socket.socket, object] | None:
        """Return the next client and its address; None when no client waits any more.

        Raises OSError of exhaustion, or of a listener that gives nothing but errors.
        """
        passed_over = 0
        while True:
            try:
                client, address = self._accept()
            except BlockingIOError:
                return None
            except OSError as error:
                passed_over += 1
                if error.errno in _PASSING and passed_over < PASSED_OVER:
                    continue
                raise
            try:
                client.setblocking(False)
            except OSError:
                client.close()
                continue
            return client, address

    def seal(self) -> None:
        """Let nobody new into the backlog, in any process that accepts from it: it can be served to its end.

        Else a client that came between the last look at the backlog and the end would be cut off, although its
        connection stood. Its handshake is left unanswered instead; the one that TCP sends a second later is refused,
        or finds the next server. Where the system cannot do it nothing happens. A Unix socket loses its file.
        """
        if not self.bound_by or self.is_kept:
            return
        self._remove_file()
        if sys.platform == "linux" and self.family in (socket.AF_INET, socket.AF_INET6):
            program = struct.pack("HP", len(_NO_SYN), _PROGRAM.buffer_info()[0])
            with contextlib.suppress(OSError):
                self.socket.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)

    def close(self) -> None:
        """Stop listening and remove a socket file that is still ours. Harmless when closed already."""
        if self.socket.fileno() >= 0:
            self.socket.close()
            self._remove_file()

    def _remove_file(self) -> None:
        if self.unix_path is not None and self._is_ours(self.unix_path):
            with contextlib.suppress(OSError):
                Path(self.unix_path).unlink()

    def _is_ours(self, path: str) -> bool:
        return self.bound_by == os.getpid() and not self.is_kept and self._identity == identity_of(path)


def _accept_of(sock: socket.socket) -> Callable[[], tuple[socket.socket, object]]:
    """Return what accepts from a socket, by the shortest way if it is of no special class.

    `socket.accept` does the same, and looks family and type up in enums for each client: a third of its time.
    """
    if type(sock) is not socket.socket or not hasattr(sock, "_accept"):
        return sock.accept
    take: Callable[[], tuple[int, object]] = sock._accept  # noqa: SLF001 - of the socket module, for its own classes
    family, kind, protocol = int(sock.family), int(sock.type), sock.proto

    def accept() -> tuple[socket.socket, object]:
        fd, address = take()
        return socket.socket(family, kind, protocol, fd), address

    return accept


def resolve(host: str | None, port: int, family: int) -> list[tuple[int, tuple[Any, ...]]]:
    """Return the families and addresses of a host (None: all interfaces). May ask a name server.

    Raises OSError (`socket.gaierror`) that says why.
    """
    found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, socket.IPPROTO_TCP, socket.AI_PASSIVE)
    return list(dict.fromkeys((kind, address) for kind, _, _, _, address in found))


def open_tcp(
    host: str | None,
    port: int,
    backlog: int,
    *,
    family: int = socket.AF_UNSPEC,
    known: Collection[tuple[int, object]] = (),
) -> list[Listener]:
    """Bind every address that `host` resolves to (None: all interfaces) and this machine has, and listen.

    With port 0 the kernel chooses one port, the same for every address. Pairs of a family and an address in `known`
    are left out: they have a listener already. Raises OSError naming the address.
    """
    try:
        entries = resolve(host, port, family)
        missing = [entry for entry in entries if entry not in known]
        return _bind_all(missing, port, backlog, has_others=len(missing) < len(entries))
    except OSError as error:
        name = f"{host or '*'}:{port}"
        reason = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
        holder = tcp_owner(port) if error.errno == errno.EADDRINUSE else ""
        raise OSError(error.errno, f"cannot listen on {name}: {reason}{_by(holder)}") from None


def _bind_all(
    wanted: Sequence[tuple[int, tuple[Any, ...]]], port: int, backlog: int, *, has_others: bool
) -> list[Listener]:
    for attempts_left in reversed(range(CHOICES_OF_PORT)):
        listeners: list[Listener] = []
        absent = None
        try:
            for family, (ip, _, *scope) in wanted:
                chosen = listeners[0].address[1] if listeners else port
                try:
                    listeners.append(_bind_tcp(family, (ip, chosen, *scope), backlog))
                except OSError as error:
                    if error.errno not in _ABSENT:
                        raise
                    absent = error
            if absent is not None and not listeners and not has_others:
                raise absent
        except OSError as error:
            for listener in listeners:
                listener.close()
            if port or error.errno != errno.EADDRINUSE or not attempts_left:
                raise  # else the port that was free for one address was not for another
        else:
            return listeners
    raise AssertionError("the last attempt returns or raises")


def _bind_tcp(family: int, address: tuple[object, ...], backlog: int) -> Listener:
    """Bind one resolved address."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        # On Windows the option means that another process may take the port away.
        if sys.platform != "win32":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # Accepted sockets inherit it; small answers must not wait for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(address)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return Listener(sock)


def open_unix(path: str, backlog: int, *, mode: int, owner: tuple[int, int] | None = None) -> Listener:
    """Bind a Unix socket: a stale one is replaced, a live one or any other file is left alone.

    `owner` is (uid, gid), -1 leaves one of them. Raises OSError naming the path.
    """
    try:
        _make_room(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # The file must never exist with wider permissions than asked for, not even for a moment.
            previous = os.umask(0o777 & ~mode)
            try:
                sock.bind(path)
            finally:
                os.umask(previous)
            try:
                permit(path, mode, owner)
                sock.listen(backlog)
            except OSError:
                Path(path).unlink()
                raise
        except OSError:
            sock.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        holder = unix_owner(path) if error.errno == errno.EADDRINUSE else ""
        raise OSError(error.errno, f"cannot listen on unix:{path}: {reason}{_by(holder)}") from None
    return Listener(sock, unix_path=path)


def permit(path: str, mode: int, owner: tuple[int, int] | None) -> None:
    """Say who may connect to a Unix socket. Raises OSError."""
    Path(path).chmod(mode)
    if owner is not None:
        os.chown(path, *owner)


def adopt(sock: socket.socket, backlog: int | None) -> Listener:
    """Use a socket that was bound elsewhere; it listens already when `backlog` is None. Its file is left alone."""
    if sock.type != socket.SOCK_STREAM:
        raise OSError(errno.ESOCKTNOSUPPORT, f"the inherited socket {sock.fileno()} is not a stream socket")
    if backlog is not None:
        sock.listen(backlog)
    sock.set_inheritable(False)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener = Listener(sock)
    listener.bound_by = 0
    return listener


def _by(holder: str) -> str:
    return f" by {holder}" if holder else ""


def _make_room(path: str) -> None:
    """Remove a socket file without a listener. Raises OSError when the path is taken."""
    try:
        kind = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise OSError(errno.EEXIST, "the path exists and is not a socket; it is left alone")
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(1)
        probe.connect(path)
    except ConnectionRefusedError:
        Path(path).unlink()
    except OSError as error:
        raise OSError(errno.EADDRINUSE, f"the socket exists and may be in use ({error.strerror})") from None
    else:
        raise OSError(errno.EADDRINUSE, "the socket is in use")
    finally:
        probe.close()


def identity_of(path: str) -> tuple[int, int] | None:
    """Return what tells a file from every other one that there is; None when there is no file."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def format_address(family: int, address: object) -> str:
    """Render a socket address as people write it."""
    if isinstance(address, tuple):
        host, port = address[0], address[1]
        return f"[{host}]:{port}" if family == socket.AF_INET6 else f"{host}:{port}"
    text = address.decode("utf-8", "backslashreplace") if isinstance(address, bytes) else str(address)
    return f"unix:{text}"
