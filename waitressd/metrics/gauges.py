"""The gauges of a process in its row: written by that process, read by any."""

import json
import threading
from collections.abc import Mapping
from operator import itemgetter

from waitressd.metrics import layout
from waitressd.metrics.figures import Figures
from waitressd.metrics.layout import TICKS_PER_SECOND, to_ticks

_FIRST_SECONDS = layout.GAUGES_AT + 1 + len(layout.NUMBERS_OF)


def fence() -> None:
    """Let other processors see what was written before this, before they see what is written after it; same for reads.

    Taking and releasing a lock is what does that in Python; this one is new, so that nobody ever waits for it.
    """
    lock = threading.Lock()
    lock.acquire()
    lock.release()


def write_gauges(row: memoryview, figures: Figures, now: float) -> None:
    """Write how busy this process is at this moment (monotonic seconds), all but `certificate_ends`."""
    for number, name in enumerate(layout.NUMBERS_OF, layout.GAUGES_AT + 1):
        value = getattr(figures, name)
        row[number] = -1 if value is None else value
    for number, name in enumerate(layout.SECONDS_OF, _FIRST_SECONDS):
        row[number] = to_ticks(getattr(figures, name))
    for number, state in enumerate(layout.STATES, layout.CONNECTIONS):
        row[number] = figures.connections.get(state, 0)
    for number, kind in enumerate(layout.ACTIVE, layout.RUNNING):
        row[number] = figures.running.get(kind, 0)
    found = figures.findings
    for number, code in enumerate(layout.FINDINGS, layout.FOUND):
        row[number] = -1 if found is None else code in found
    row[layout.GAUGES_AT] = to_ticks(now)


def gauges_age(row: memoryview, now: float) -> float | None:
    """Return how long ago the gauges of a row were written, in seconds; None if they were not."""
    written = row[layout.GAUGES_AT]
    return max(0.0, now - written / TICKS_PER_SECOND) if written else None


def read_gauges(row: memoryview) -> Figures:
    """Return the gauges of a row; what counts is not among them."""
    numbers = dict(zip(layout.NUMBERS_OF, row[layout.GAUGES_AT + 1 : _FIRST_SECONDS], strict=True))
    seconds = dict(zip(layout.SECONDS_OF, row[_FIRST_SECONDS : layout.CONNECTIONS], strict=True))
    found = row[layout.FOUND : layout.CERTIFICATES]
    return Figures(
        **{name: None if value < 0 else value for name, value in numbers.items()},  # type: ignore[arg-type]  # those may be
        **{name: value / TICKS_PER_SECOND for name, value in seconds.items()},  # type: ignore[arg-type]  # by their names
        connections=dict(zip(layout.STATES, row[layout.CONNECTIONS : layout.RUNNING], strict=True)),
        running={
            kind: count for kind, count in zip(layout.ACTIVE, row[layout.RUNNING : layout.FOUND], strict=True) if count
        },
        findings=(
            None
            if found[0] < 0
            else frozenset(code for code, is_true in zip(layout.FINDINGS, found, strict=True) if is_true)
        ),
        certificate_ends=_read_certificates(row),
    )


def write_certificates(row: memoryview, ends: Mapping[str, float]) -> None:
    """Write when the certificates expire: those that expire first, if there is no room for all."""
    known = sorted(ends.items(), key=itemgetter(1))
    while len(text := json.dumps(dict(known)).encode()) > layout.CERTIFICATES_BYTES:
        known.pop()
    row[layout.CERTIFICATES] = 0
    fence()
    row[layout.CERTIFICATES + 1 : layout.COUNTERS].cast("B")[: len(text)] = text
    fence()
    row[layout.CERTIFICATES] = len(text)


def _read_certificates(row: memoryview) -> dict[str, float]:
    """Read that; nothing while it is written."""
    length = row[layout.CERTIFICATES]
    fence()
    text = bytes(row[layout.CERTIFICATES + 1 : layout.COUNTERS].cast("B")[:length])
    fence()
    if not length or row[layout.CERTIFICATES] != length:
        return {}
    try:
        found: dict[str, float] = json.loads(text)
    except ValueError:  # it was written from the beginning to the end meanwhile
        return {}
    return found
