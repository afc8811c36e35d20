"""From the addresses of a configuration to sockets that listen."""

import os
import socket
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

from waitressd.config.addresses import FdAddress, ListenAddress, TcpAddress, UnixAddress
from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.errors import ConfigError, Problem
from waitressd.fdstore import Place, take_kept
from waitressd.net import interrupt
from waitressd.net.listener import ADMIN, HTTP, HTTPS, REDIRECT, Listener, adopt, open_tcp, open_unix, permit, resolve
from waitressd.systemd import inherited_descriptors

_NONE_HELD: Final[Mapping[str, Sequence[Listener]]] = MappingProxyType({})
_NONE_KEPT: Final[Mapping[Place, Listener]] = MappingProxyType({})


def check_system(adjustments: Adjustments) -> None:
    """Look for what a configuration names and the machine does not have. Opens nothing; raises ConfigError."""
    problems = []
    trouble = _folder_trouble(adjustments.spool_directory) if adjustments.spool_directory else ""
    if trouble:
        problems.append(_problem(adjustments, "spool_directory", trouble))
    trouble = _reading_trouble(adjustments.acme_challenge_folder) if adjustments.acme_challenge_folder else ""
    if trouble:
        problems.append(_problem(adjustments, "acme_challenge_folder", trouble))
    try:
        _owner_ids(adjustments.unix_socket_owner)
    except LookupError as error:
        problems.append(_problem(adjustments, "unix_socket_owner", str(error.args[0])))
    if adjustments.request_timeout_interrupt and interrupt.TROUBLE:
        problems.append(_problem(adjustments, "request_timeout_interrupt", f"{interrupt.TROUBLE}; leave it off"))
    problems.extend(_unresolved(adjustments))
    problems.extend(_unable_to_fork(adjustments))
    if problems:
        raise ConfigError(problems)


def _unresolved(adjustments: Adjustments) -> Iterator[Problem]:
    """Find names to listen on that have no address.

    A bind would find them, too, but pserve turns an error at that time into a traceback, or into exit status 0.
    """
    name = "listen" if adjustments.listen else "host"
    places = [(name, address) for address in adjustments.listeners]
    places += [("redirect_listen", address) for address in adjustments.redirect_listen]
    places += [("admin_listen", address) for address in adjustments.admin_listen]
    for name, address in places:
        if isinstance(address, TcpAddress) and address.is_name:
            try:
                resolve(address.host, address.port, _family(adjustments))
            except OSError as error:
                text = f"the host cannot be resolved: {error.strerror}"
                yield Problem(adjustments.origin_of(name).place, f"{name} = {address}", text)


def _unable_to_fork(adjustments: Adjustments) -> Iterator[Problem]:
    """Find what worker processes need and there is not."""
    if not hasattr(os, "fork"):
        # `auto` is one there, which needs nothing.
        for name in ("workers",) * ((adjustments.workers or 1) > 1) + ("supervise",) * bool(adjustments.supervise):
            yield _problem(adjustments, name, "this system cannot fork, so there is a single process")
    elif adjustments.may_be_fleet and not all(map(_is_listening, adjustments.sockets)):
        yield Problem(
            adjustments.origin_of("sockets").place, "sockets", "workers share them, so each must listen already"
        )


def _is_listening(sock: socket.socket) -> bool:
    return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _family(adjustments: Adjustments) -> int:
    if not adjustments.ipv6:
        return socket.AF_INET
    return socket.AF_UNSPEC if adjustments.ipv4 else socket.AF_INET6


def _folder_trouble(folder: str) -> str:
    try:
        mode = Path(folder).stat().st_mode
    except FileNotFoundError:
        return "there is no such folder"
    except OSError:
        mode = stat.S_IFDIR  # out of sight, so out of reach
    if not stat.S_ISDIR(mode):
        return "this is a file, not a folder"
    return "" if os.access(folder, os.W_OK | os.X_OK) else "this account cannot write there"


def _reading_trouble(folder: str) -> str:
    if not Path(folder).is_dir():
        return "there is no such folder; make it, and name it to the ACME client as its webroot"
    return "" if os.access(folder, os.R_OK | os.X_OK) else "this account cannot read it; chmod 755"


def _problem(adjustments: Adjustments, name: str, text: str) -> Problem:
    value = SETTINGS[name].kind.show(getattr(adjustments, name))
    return Problem(adjustments.origin_of(name).place, f"{name} = {value}", text)


def open_first_listeners(adjustments: Adjustments) -> list[Listener]:
    """Bind everything that the configuration names, but for what the service manager has kept from the last start.

    Once in the life of a process; otherwise as `open_listeners`.
    """
    places = [place for address in _places(adjustments).values() for place in _places_of(address, adjustments)]
    return open_listeners(adjustments, kept=take_kept(places))


def open_listeners(
    adjustments: Adjustments,
    held: Mapping[str, Sequence[Listener]] = _NONE_HELD,
    kept: Mapping[Place, Listener] = _NONE_KEPT,
) -> list[Listener]:
    """Bind everything that the configuration names; nothing that was opened stays open if one address fails.

    Those in `held` are open already, by the addresses that were asked for; and those in `kept`, by where they are.
    Raises OSError whose text names the address.
    """
    opened: list[Listener] = []
    listeners: list[Listener] = []
    try:
        for sock in adjustments.sockets:
            opened.append(adopt(sock, adjustments.backlog))
            listeners.append(_described(opened[-1], "", adjustments))
        for asked, address in _places(adjustments).items():
            found = held.get(asked)
            if found is None:
                # Two names may lead to one address, as localhost and 127.0.0.1 do.
                use = _use_of(asked, adjustments)
                known = {(item.family, item.address) for item in listeners if _use_of(item.asked, adjustments) == use}
                free = {place: item for place, item in kept.items() if item not in listeners}
                found = _take_or_open(address, adjustments, known, free)
                opened += found
            listeners += [_described(listener, asked, adjustments) for listener in found]
    except OSError:
        for listener in (*opened, *kept.values()):
            listener.close()
        raise
    return listeners


def open_admin_listeners(
    adjustments: Adjustments, held: Mapping[str, Sequence[Listener]] = _NONE_HELD
) -> list[Listener]:
    """Bind what is in `admin_addresses`, as `open_listeners` does. Raises OSError that names setting and address."""
    opened: list[Listener] = []
    listeners: list[Listener] = []
    name = ""
    others = replace(adjustments, unix_socket_perms=adjustments.admin_socket_mode, unix_socket_owner="")
    try:
        for address in adjustments.admin_addresses:
            name = "admin_listen" if address in adjustments.admin_listen else "request_log: listen"
            asked = f"{ADMIN} {address}"
            found = held.get(asked)
            if found is None:
                # Two names may lead to one address, as localhost and 127.0.0.1 do.
                found = _open(address, others, {(item.family, item.address) for item in listeners})
                opened += found
            for listener in found:
                listener.asked, listener.service = asked, ADMIN
            listeners += found
    except OSError as error:
        for listener in opened:
            listener.close()
        raise OSError(error.errno, f"{name}: {error.strerror or error}") from None
    return listeners


def _places(adjustments: Adjustments) -> dict[str, ListenAddress]:
    """List what is opened, by what it is asked for with. An address may be in both settings where its port is 0."""
    leads = {f"{REDIRECT} {address}": address for address in adjustments.redirect_listen}
    return {str(address): address for address in adjustments.listeners} | leads


def adopt_listeners(adjustments: Adjustments, sockets: Iterable[tuple[str, socket.socket]]) -> list[Listener]:
    """Use sockets that another process has bound, each for what it was asked for with ("" for `sockets`).

    They are shared: this process is one of several that accept from them.
    """
    listeners = [_described(adopt(sock, None), asked, adjustments) for asked, sock in sockets]
    for listener in listeners:
        listener.is_shared = True
    return listeners


def _described(listener: Listener, asked: str, adjustments: Adjustments) -> Listener:
    """Say for what it was opened, what it serves, and how each connection begins there."""
    listener.asked = asked if asked in _places(adjustments) else ""
    listener.service, listener.proxy_protocol = _use_of(asked, adjustments)
    is_unix = listener.family not in (socket.AF_INET, socket.AF_INET6)
    if is_unix and listener.service == HTTPS and _places(adjustments).get(asked) not in adjustments.tls_listen:
        listener.service = HTTP
    return listener


def _use_of(asked: str, adjustments: Adjustments) -> tuple[str, str]:
    """Say what is served where that was asked for, and which PROXY protocol begins its connections."""
    address = _places(adjustments).get(asked)
    if address is None:  # one of `sockets`
        return HTTPS if adjustments.tls_certificate else HTTP, adjustments.proxy_protocol
    if asked.startswith(f"{REDIRECT} "):
        return REDIRECT, "off"
    proxied = adjustments.proxy_protocol_listen or adjustments.listeners
    protocol = adjustments.proxy_protocol if address in proxied else "off"
    return HTTPS if address in adjustments.tls_listeners else HTTP, protocol


def _open(address: ListenAddress, adjustments: Adjustments, known: Collection[Place]) -> list[Listener]:
    if isinstance(address, TcpAddress):
        family = _family(adjustments)
        return open_tcp(address.host or None, address.port, adjustments.backlog, family=family, known=known)
    if isinstance(address, UnixAddress):
        owner = _owner_ids(adjustments.unix_socket_owner)
        return [open_unix(address.path, adjustments.backlog, mode=adjustments.unix_socket_perms, owner=owner)]
    return [_inherit(address, fd) for fd in inherited_descriptors(address.fd)]


def _take_or_open(
    address: ListenAddress,
    adjustments: Adjustments,
    known: Collection[Place],
    kept: Mapping[Place, Listener],
) -> list[Listener]:
    places = _places_of(address, adjustments) if kept else ()
    taken = [kept[place] for place in places if place in kept and place not in known]
    for listener in taken:  # these settings may be others now
        if listener.unix_path is not None:
            permit(listener.unix_path, adjustments.unix_socket_perms, _owner_ids(adjustments.unix_socket_owner))
        listener.socket.listen(adjustments.backlog)
    if taken and isinstance(address, UnixAddress):
        return taken
    return taken + _open(address, adjustments, {*known, *((item.family, item.address) for item in taken)})


def _places_of(address: ListenAddress, adjustments: Adjustments) -> list[Place]:
    """Return where an address leads. Raises OSError: its name leads nowhere."""
    if isinstance(address, TcpAddress):
        return list(resolve(address.host or None, address.port, _family(adjustments)))
    return [(socket.AF_UNIX, address.path)] if isinstance(address, UnixAddress) else []


def _inherit(address: FdAddress, fd: int) -> Listener:
    try:
        sock = socket.socket(fileno=os.dup(fd))
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address}: descriptor {fd} is no open socket") from None
    return adopt(sock, None)


def _owner_ids(owner: str) -> tuple[int, int] | None:
    """Look up `user` or `user:group`. Raises LookupError that says which of them does not exist."""
    if not owner:
        return None
    try:
        import grp  # noqa: PLC0415 - not on Windows
        import pwd  # noqa: PLC0415 - not on Windows
    except ImportError:
        raise LookupError("this system has no owners of socket files") from None

    user, _, group = owner.partition(":")
    wanted = f"user {user}"
    try:
        uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        wanted = f"group {group}"
        return uid, -1 if not group else int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"there is no {wanted} on this machine") from None
