"""What is worth saying about time limits. The codes and their texts are in `advice.py`."""

from collections.abc import Iterator

from waitressd.config.effective import EffectiveSettings
from waitressd.kinds import show_seconds

Finding = tuple[str, str]


def limits(adjustments: EffectiveSettings) -> list[tuple[str, float]]:
    """List the limits that there are, with the names of their settings."""
    found = [("request_timeout", adjustments.request_timeout)]
    found += [("request_timeout_routes", route.seconds) for route in adjustments.request_timeout_routes]
    return [(name, seconds) for name, seconds in found if seconds]


def beyond_the_drain(adjustments: EffectiveSettings) -> Iterator[Finding]:
    """Find limits that are longer than a stop waits."""
    drain = adjustments.shutdown_timeout
    longest: dict[str, float] = {}
    for name, seconds in limits(adjustments):
        longest[name] = max(seconds, longest.get(name, 0.0))
    for name, seconds in longest.items():
        if seconds > drain:
            yield name, f"{name} allows {show_seconds(seconds)} s, and shutdown_timeout is {show_seconds(drain)} s"
