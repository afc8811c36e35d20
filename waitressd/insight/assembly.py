"""Puts together what answers at the admin addresses of a server. Imported only where there are such addresses."""

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from waitressd.config.adjustments import Adjustments
from waitressd.config.advicerules import Facts
from waitressd.insight.addresses import AdminAddresses
from waitressd.insight.answers import Endpoint
from waitressd.insight.configuration import Configuration
from waitressd.insight.control import Control
from waitressd.insight.documents import head, place_of
from waitressd.insight.health import Health
from waitressd.insight.inspector import NO_LIMIT, Inspector, TimeLimit
from waitressd.insight.listings import Listings
from waitressd.insight.monitor import Monitor
from waitressd.insight.page import page_endpoint
from waitressd.insight.profile import Profiler, look_through
from waitressd.insight.prometheus import metrics_endpoints
from waitressd.insight.summaries import Summaries
from waitressd.insight.view import LIFE_WORDS, ServerView
from waitressd.metrics.adopted import adopted_row
from waitressd.metrics.collector import ServerCounts
from waitressd.metrics.serving import shown_of

if TYPE_CHECKING:
    from waitressd.net.exchange import Exchange


def build_endpoints(view: ServerView) -> list[Endpoint]:
    """Return everything that can be asked of a server, one line for each family. The thread inside `Server.run`."""
    adjustments, place = view.adjustments, place_of(view.adjustments)

    def begin() -> dict[str, Any]:
        return head(place, LIFE_WORDS[view.life], time.time())

    def facts() -> Facts:
        return Facts(adjustments, certificates=view.served_certificates)

    inspector = Inspector(lambda: view.lanes, worker=place.worker, shows_query=adjustments.admin_show_query)
    view.on_tick.append(inspector.on_tick)
    monitor = Monitor(view, place.worker)
    inspector.seen = monitor.watch.seen
    inspector.time_limit = partial(_time_limit, view)
    monitor.situations.is_overdue = lambda exchange: inspector.time_limit(exchange).overdue
    health = Health(view, begin)
    shown, row = shown_of(view), adopted_row()
    if isinstance(shown, ServerCounts):
        shown.findings, shown.not_ready = monitor.codes, lambda: health.not_ready()[0]
    if row is not None:
        row.findings = monitor.codes
    return [
        page_endpoint(),
        *health.endpoints(),
        *metrics_endpoints(shown),
        *Listings(inspector, begin, threading.get_ident()).endpoints(),
        *Summaries(monitor, begin).endpoints(),
        *Configuration(adjustments, begin, facts).endpoints(),
        Profiler(look_through(lambda: view.lanes)).endpoint,
    ]


def _time_limit(view: ServerView, exchange: "Exchange") -> TimeLimit:
    """Say what limit a request has that runs, and what became of it when its time was over."""
    for lane in view.lanes:  # which are all set alike
        late = lane.timekeeper.late_of(exchange)
        status = late.answered_status if late is not None else None
        return TimeLimit(lane.timekeeper.limit_seconds(exchange), late is not None, status)
    return NO_LIMIT


class Insight(AdminAddresses):
    """What a server has of insight, from its start to its end. The thread that owns the server, unless it says more."""

    def __init__(self, adjustments: Adjustments, http_date: Callable[[], str]) -> None:
        super().__init__(adjustments, http_date)
        self._control: Control | None = None

    def start(self, view: ServerView) -> None:
        """Begin to answer for a server. Raises OSError: there is no thread or no descriptor to be had."""
        self._control = Control(view, lambda name: any(lane.cancel(name) for lane in view.lanes))
        self.start_with([*build_endpoints(view), *self._control.endpoints()])

    def close(self) -> None:
        """Answer no more, and take back what was changed for a time. Twice is harmless."""
        super().close()
        if self._control is not None:
            self._control.close()
