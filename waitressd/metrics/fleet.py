"""The metrics of a fleet, for its master: the counters of all workers, and the address where they are shown."""

import os
import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from waitressd.config.adjustments import Adjustments
from waitressd.metrics.area import ROWS, SERIES, Area, new_file
from waitressd.metrics.listener import Application, MetricsListener, OpenServer
from waitressd.metrics.serving import ShownMetrics, make_application
from waitressd.metrics.shown import FleetState
from waitressd.metrics.view import FleetView

NONE_HELD: Final[Mapping[str, Sequence[socket.socket]]] = MappingProxyType({})


class FleetMetrics:
    """Counters of all workers, in memory that they share with the master.

    `claim`, `retire`, `open`, `keep` and `close` belong to one thread of the master, the application to any. `state` is
    called by the threads that show the metrics. Raises OSError if there is no memory.
    """

    def __init__(
        self,
        state: Callable[[], FleetState],
        rows: int = ROWS,
        series: int = SERIES,
        fd: int | None = None,
    ) -> None:
        """`series` is the bound of their number, as long as the master lives.

        `fd` is the memory in which another master has counted. Raises ValueError: it means something else by that.
        """
        self.fd: Final = new_file() if fd is None else fd
        """What workers need, to find their row; closed by `close`."""
        self._area: Final = Area.create(self.fd, rows, series) if fd is None else Area.attach(fd)
        self.view: Final = FleetView(self._area, state)
        """What there is to show."""
        self.application: Final[Application] = make_application(self.view)
        """The WSGI application that shows it."""
        self._listeners: dict[str, MetricsListener] = {}

    # -- rows

    def claim(self, place: int) -> int | None:
        """Return the row for a new worker in this place (1 or more), to be handed to `adopt_row` there.

        None if so many workers exist already; this one can only count for itself.
        """
        return self._area.claim(place)

    def retire(self, row: int) -> None:
        """Keep what a worker has counted, and free its row. It has ended; twice is harmless."""
        self._area.retire(row)

    # -- addresses

    def open(
        self, addresses: Iterable[str], open_server: OpenServer, held: Mapping[str, Sequence[socket.socket]] = NONE_HELD
    ) -> None:
        """Show the metrics at these addresses, too. Raises OSError naming the address; then all is as it was.

        The sockets of those in `held` are open already.
        """
        opened: dict[str, MetricsListener] = {}
        try:
            for address in addresses:
                if address not in self._listeners and address not in opened:
                    opened[address] = MetricsListener(open_server, self.application, address, held.get(address, ()))
        except BaseException:  # border: what was opened must not stay open, and the error goes on
            for listener in opened.values():
                listener.close()
            raise
        self._listeners |= opened

    def keep(self, addresses: Iterable[str]) -> None:
        """Show the metrics at these addresses alone: close the others."""
        for address in self._listeners.keys() - set(addresses):
            self._listeners.pop(address).close()

    def hand_over(self) -> dict[str, list[socket.socket]]:
        """Show the metrics no more, and return the sockets of each address, for `open`. Raises OSError."""
        held = {address: listener.hand_over() for address, listener in self._listeners.items()}
        self._listeners.clear()
        return held

    def bound(self) -> list[object]:
        """Return where the metrics are shown, as `getsockname` gives it."""
        return [listener.address for listener in self._listeners.values()]

    def close(self) -> None:
        """Show them no more. Twice is not harmless: the descriptor may belong to another by then."""
        self.keep(())
        self._area.close()
        os.close(self.fd)


def listen_addresses(adjustments: Adjustments) -> tuple[str, ...]:
    """Return where the request logs of a server want its metrics to be shown: each `listen`, without doubles."""
    logs = [log for log in adjustments.request_log if log.counts]
    found = (log.use.listen if isinstance(log.use, ShownMetrics) else log.options.get("listen", "") for log in logs)
    return tuple(dict.fromkeys(address for address in found if address))
