"""The settings of one server as values, with what follows from several of them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from waitressd.config.addresses import ListenAddress, TcpAddress, UnixAddress
from waitressd.config.fleettable import FleetTable
from waitressd.config.insighttable import InsightTable
from waitressd.config.networks import TrustedPeers, trusted_peers
from waitressd.config.origins import DEFAULT, Origin
from waitressd.config.table import SettingsTable
from waitressd.config.timelimittable import TimeLimitTable


@dataclass(frozen=True, kw_only=True)
class EffectiveSettings(InsightTable, TimeLimitTable, FleetTable, SettingsTable):
    """The value of every setting, and where each came from. What the rules look at.

    What a dataclass gets to begin with is made here, once: to make it again for each table, and for what comes after,
    takes as long as everything else that reads settings.
    """

    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    """Where each given value came from, by the name of the setting; what is missing has its default."""

    @property
    def listeners(self) -> tuple[ListenAddress, ...]:
        """The addresses to listen on; empty if a Python caller handed over `sockets`."""
        if self.sockets:
            return ()
        if self.listen:
            return self.listen
        return (UnixAddress(self.unix_socket),) if self.unix_socket else (TcpAddress(self.host, self.port),)

    @property
    def tls_listeners(self) -> tuple[ListenAddress, ...]:
        """Those of `listeners` that speak TLS; an inherited socket does not if it turns out to be a Unix socket."""
        if not self.tls_certificate:
            return ()
        return self.tls_listen or tuple(item for item in self.listeners if not isinstance(item, UnixAddress))

    @property
    def trusted_peers(self) -> TrustedPeers:
        """The value of `trusted_proxy` as a record."""
        return trusted_peers(self.trusted_proxy)

    @property
    def believed_proxy_headers(self) -> frozenset[str]:
        """The value of `trusted_proxy_headers`, or what it means if only `trusted_proxy` is set."""
        if self.trusted_proxy and not self.trusted_proxy_headers:
            return frozenset({"x-forwarded-proto"})
        return self.trusted_proxy_headers

    @property
    def admin_addresses(self) -> tuple[ListenAddress, ...]:
        """Those of `admin_listen`, and those where request logs have the metrics shown."""
        shown = (address for log in self.request_log for address in log.shows_at)
        return tuple(dict.fromkeys((*self.admin_listen, *shown)))

    @property
    def counts_requests(self) -> bool:
        """The value of `metrics`, where auto means that somebody can ask, or the number of requests is limited."""
        if self.metrics == "auto":
            can_ask = self.admin_listen or any(log.counts for log in self.request_log)
            return bool(can_ask or self.worker_max_requests)
        return self.metrics == "on"

    @property
    def may_be_fleet(self) -> bool:
        """Whether worker processes are asked for; `workers = auto` may still come to one."""
        return self.workers != 1 or bool(self.supervise)

    def worker_count(self, cores: int) -> int:
        """How many workers there are, where `auto` is one for each of `cores`."""
        return cores if self.workers is None else self.workers

    def is_fleet(self, cores: int) -> bool:
        """Whether a master looks after the workers, where `auto` is one for each of `cores`."""
        return self.worker_count(cores) > 1 if self.supervise is None else self.supervise

    def origin_of(self, name: str) -> Origin:
        """Where the value of a setting came from."""
        return self.origins.get(name, DEFAULT)
