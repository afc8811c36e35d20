"""Metrics: a request log that counts instead of writing lines, and gauges of the server.

It uses nothing but what every request log gets, so it also shows what a plugin can do. `docs/metrics.rst` describes it.
"""

from waitressd.metrics.collector import Metrics
from waitressd.metrics.serving import app_factory, request_log

__all__ = ["Metrics", "app_factory", "request_log"]
