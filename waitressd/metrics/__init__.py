"""Metrics: what the ledgers of a server, or of all workers of a fleet, have counted, as text.

`docs/metrics.rst` describes it. The public names are looked up at first use: a master shows metrics without a server.
"""

from typing import TYPE_CHECKING

from waitressd.firstuse import names_at_first_use

if TYPE_CHECKING:
    from waitressd.metrics.serving import ShownMetrics, app_factory, request_log

__all__ = ["ShownMetrics", "app_factory", "request_log"]

__getattr__, __dir__ = names_at_first_use(__name__, dict.fromkeys(__all__, "waitressd.metrics.serving"))
