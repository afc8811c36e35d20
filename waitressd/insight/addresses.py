"""The admin addresses of a server or of a fleet: who may be let through where, the tokens, and the thread that answers.

Does not know what is answered.
"""

import ipaddress
import logging
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from waitressd.config.addresses import TcpAddress
from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.errors import ConfigError, Problem
from waitressd.config.insightrules import exposed, open_to_strangers
from waitressd.config.insighttable import CONTROLS, EXPOSABLE, PUBLIC
from waitressd.config.reading import Complaint
from waitressd.insight.answers import Endpoint
from waitressd.insight.endpoints import EndpointTable
from waitressd.insight.guard import Door
from waitressd.insight.listener import AdminListener, Desk
from waitressd.insight.tokens import TokenFile, TokenFileError
from waitressd.net.listener import ADMIN, Listener, resolve
from waitressd.net.logs import say

MASTERS: Final = Door("the master", frozenset(EXPOSABLE), frozenset(CONTROLS), is_unix=True)
"""What a worker lets through for its master, which has judged the request before."""


class AdminAddresses:
    """What answers at the admin addresses, from start to end. The thread that owns them, unless a method says more."""

    def __init__(self, adjustments: Adjustments, http_date: Callable[[], str]) -> None:
        """Read the tokens. Raises ConfigError with all that would be unsafe."""
        self._adjustments = adjustments
        self._http_date = http_date
        self._doors: list[tuple[Listener, Door]] = []
        self._listener: AdminListener | None = None
        self._tokens = _read_tokens(adjustments)
        _check(adjustments, self._tokens)

    @property
    def addresses(self) -> list[Any]:
        """Where it is asked, as `getsockname` says it."""
        return [listener.address for listener, _ in self._doors]

    def open(self, listeners: Sequence[Listener]) -> None:
        """Take the listeners of the admin addresses. Raises ConfigError for one that strangers reach."""
        self._doors = [(listener, self._door(listener)) for listener in listeners]

    def start_with(self, endpoints: Iterable[Endpoint]) -> None:
        """Begin to answer with these endpoints. Raises OSError."""
        desk = Desk(EndpointTable(endpoints), self._tokens, self._http_date)
        self._listener = AdminListener(self._doors, desk)
        self._listener.start()
        if self._doors:
            self._announce()

    def _announce(self) -> None:
        names = [listener.name for listener, _ in self._doors if not self._shows_metrics_alone(listener)]
        if names:
            say(logging.INFO, "Admin address on %s", ", ".join(names))
        for listener, door in self._doors:
            if self._shows_metrics_alone(listener):
                say(logging.INFO, "Metrics on %s", door.name if door.is_unix else f"http://{door.name}/metrics")

    def _shows_metrics_alone(self, listener: Listener) -> bool:
        """Whether `admin_listen` does not name an address: a request log does, or a configuration that goes."""
        named = {f"{ADMIN} {address}" for address in self._adjustments.admin_listen}
        return bool(listener.asked) and listener.asked not in named

    def change(self, adjustments: Adjustments, listeners: Sequence[Listener]) -> None:
        """Go on with another configuration: with what it opens, and with its tokens if they can be read."""
        self._adjustments = adjustments
        self._tokens.move(adjustments.admin_token_file)
        self._doors = [(listener, self._door(listener)) for listener in listeners]
        if self._listener is not None:
            self._listener.change(self._doors)

    def adopt(self, sock: socket.socket) -> None:
        """Answer what the master asks on this connection. Any thread."""
        if self._listener is not None:
            self._listener.adopt(sock, MASTERS)
        else:
            sock.close()

    def reload(self) -> None:
        """Read the tokens again. Any thread but the one that answers."""
        self._tokens.reload()

    def close(self) -> None:
        """Answer no more. Twice is harmless."""
        if self._listener is not None:
            self._listener.close()
        for listener, _ in self._doors:
            listener.close()

    def let_go(self) -> None:
        """Close the addresses in a child that was only forked."""
        for listener, _ in self._doors:
            listener.socket.close()

    def _door(self, listener: Listener) -> Door:
        adjustments = self._adjustments
        is_unix = not isinstance(listener.address, tuple)
        hosts = frozenset(adjustments.admin_hosts)
        if self._shows_metrics_alone(listener):
            return Door(listener.name, PUBLIC, hosts=hosts, is_unix=is_unix)
        is_local = is_unix or _is_loopback(listener.address[0])
        # An inherited socket shows only now where it is.
        if not is_local:
            _refuse(adjustments, open_to_strangers(adjustments, listener.name))
        if not is_unix:
            _refuse(adjustments, _open_to_change(adjustments, self._tokens, listener.name))
        return Door(
            name=listener.name,
            exposed=exposed(adjustments, is_local=is_local),
            control=adjustments.admin_control,
            hosts=hosts,
            is_unix=is_unix,
        )


def _read_tokens(adjustments: Adjustments) -> TokenFile:
    try:
        return TokenFile(adjustments.admin_token_file)
    except TokenFileError as error:
        raise ConfigError([_problem(adjustments, Complaint("admin_token_file", str(error)))]) from None


def _check(adjustments: Adjustments, tokens: TokenFile) -> None:
    """Raise ConfigError for what the settings do not show: names that strangers reach, tokens that are missing."""
    complaints: list[Complaint] = []
    ports = [address for address in adjustments.admin_listen if isinstance(address, TcpAddress)]
    for address in ports:
        if address.is_name and not _leads_to_loopback(address):
            complaints += open_to_strangers(adjustments, address)
    for address in ports[:1]:
        complaints += _open_to_change(adjustments, tokens, address)
    _refuse(adjustments, complaints)


def _open_to_change(adjustments: Adjustments, tokens: TokenFile, address: object) -> Iterator[Complaint]:
    if adjustments.admin_control and not tokens.tokens.control:
        file = adjustments.admin_token_file or "a file, and name that in admin_token_file"
        yield Complaint("admin_control", f"whoever reaches {address} could use it: write control TOKEN into {file}")


def _leads_to_loopback(address: TcpAddress) -> bool:
    """Whether a name leads nowhere but to this machine. A name that leads nowhere is complained about elsewhere."""
    try:
        found = resolve(address.host, address.port, 0)
    except OSError:
        return True
    return all(_is_loopback(place[0]) for _, place in found)


def _is_loopback(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback


def _refuse(adjustments: Adjustments, complaints: Iterable[Complaint]) -> None:
    problems = list(map(partial(_problem, adjustments), complaints))
    if problems:
        raise ConfigError(problems)


def _problem(adjustments: Adjustments, complaint: Complaint) -> Problem:
    value = SETTINGS[complaint.name].kind.show(getattr(adjustments, complaint.name))
    return Problem(adjustments.origin_of(complaint.name).place, f"{complaint.name} = {value}".rstrip(), complaint.text)
