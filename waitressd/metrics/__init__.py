"""Metrics: what the ledgers of a server, or of all workers of a fleet, have counted, as text.

`docs/metrics.rst` describes it.
"""

from waitressd.metrics.serving import ShownMetrics, app_factory, request_log

__all__ = ["ShownMetrics", "app_factory", "request_log"]
