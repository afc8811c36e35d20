"""`/metrics` and `/metrics.json`: what was counted, for Prometheus and for people."""

from collections.abc import Iterator
from typing import Final

from waitressd.insight.answers import Answer, Endpoint, Query
from waitressd.insight.endpoints import no_parameters
from waitressd.insight.slices import padded
from waitressd.metrics.describe import JSON_TYPE, render_json
from waitressd.metrics.render import PROMETHEUS_TYPE, render_prometheus
from waitressd.metrics.shown import Shown

GROUP: Final = "metrics"


def metrics_endpoints(shown: Shown) -> list[Endpoint]:
    """Return what shows these numbers."""

    def answer_text(query: Query) -> Answer:
        no_parameters(query)
        return Answer(200, PROMETHEUS_TYPE, _text(shown))

    def answer_json(query: Query) -> Answer:
        no_parameters(query)
        return Answer(200, JSON_TYPE, _json(shown))

    return [Endpoint("/metrics", GROUP, answer_text), Endpoint("/metrics.json", GROUP, answer_json)]


def _text(shown: Shown) -> Iterator[bytes]:
    picture = yield from padded(shown.look())
    yield from render_prometheus(picture)


def _json(shown: Shown) -> Iterator[bytes]:
    picture = yield from padded(shown.look())
    yield render_json(picture).encode()
