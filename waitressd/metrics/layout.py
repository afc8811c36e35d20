"""Where which number of a row is: the row is how busy one process is, and what it has counted.

A row is an array of 8-byte numbers, in shared memory or not. Each has one writer, so whoever reads a row sees each
number as it was a moment ago. Durations are summed in ticks: with whole numbers a sum does not depend on the order in
which its parts are added, so it never falls when the rows of processes that have ended are added up.

The gauges come first and the counters behind them; at the end is a number of *slots*, one for each series of requests,
so that a row has as many as the operator allows series.
"""

from typing import Any, Final
from zlib import crc32

from waitressd.net import states
from waitressd.net.ledger import BOUNDS, BUCKETS, ENDED_BY, METHODS, OTHER_METHOD

STATUSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Classes of status by the first digit; none is sent by a request that was not answered."""
PHASES: Final = ("receive", "queue", "application", "flush", "total")
STATES: Final = states.PHASES
"""What connections may be waiting for."""
HANDSHAKES: Final = (
    "full", "resumed", "gone", "timeout", "evicted",
    "plain_http", "no_version", "no_cipher", "client_certificate", "error",
)  # fmt: skip
"""How handshakes of TLS may end."""
RENEWALS: Final = ("renewed", "refused")
"""What may become of certificates that have changed."""
TIMEOUTS: Final = ("answered", "cut", "interrupted", "still_running")
"""What may become of a request that is over its time limit."""
SCHEMES: Final = ("http", "https")
ACTIVE: Final = tuple((method, scheme) for method in (*sorted(METHODS), OTHER_METHOD) for scheme in SCHEMES)
"""By what requests that run are told apart."""
FINDINGS: Final = tuple(f"WD{number:02}" for number in range(1, 13))

TICKS_PER_SECOND: Final = 1 << 20  # about a microsecond; 8 bytes hold 270,000 years
HISTOGRAM: Final = BUCKETS + 1  # numbers of one histogram: its buckets, and the sum in ticks

SERIES_BOUNDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The upper ends of the buckets of a series: those that OpenTelemetry advises for requests."""
SLOT: Final = len(SERIES_BOUNDS) + 2  # numbers: the buckets, the last one without an end, and the sum in ticks

# -- gauges

GAUGES_AT: Final = 0  # when the gauges were written, in monotonic ticks; 0 never
NUMBERS_OF: Final = (
    "busy_threads", "idle_threads", "overdue_threads", "threads_limit", "queue_depth", "queue_limit",
    "connections_limit", "open_handshakes", "rss_bytes", "fds", "fd_limit",
)  # fmt: skip
"""The whole numbers among the gauges, -1 for one that is not known."""
SECONDS_OF: Final = ("oldest_wait_seconds", "cpu_seconds", "process_started")
"""Those that are seconds, in ticks."""
CONNECTIONS: Final = GAUGES_AT + 1 + len(NUMBERS_OF) + len(SECONDS_OF)
RUNNING: Final = CONNECTIONS + len(STATES)
"""From here on, how many requests of each of ACTIVE are in the application."""
FOUND: Final = RUNNING + len(ACTIVE)
"""From here on, for each of FINDINGS, 1 if it is true now; -1 if nobody looks for it."""
CERTIFICATES: Final = FOUND + len(FINDINGS)
"""The number of bytes of a text, and from the next number on the text: when which certificate expires, as JSON."""
CERTIFICATES_BYTES: Final = 2048

# -- counters

COUNTERS: Final = CERTIFICATES + 1 + CERTIFICATES_BYTES // 8
"""From here on, numbers count; in a sum of rows, this is where they begin."""
COUNTS_OF: Final = ("accepted", "takeovers", "folded", "received_bytes", "sent_bytes")
TIMED_OUT: Final = COUNTERS + len(COUNTS_OF)
"""From here on, how many requests that were over their time limit ended in each way."""
DELAYS: Final = TIMED_OUT + len(TIMEOUTS)
"""From here on, how late timers were: a histogram."""
HANDSHAKES_ENDED: Final = DELAYS + HISTOGRAM
"""From here on, how many handshakes ended in each way."""
CERTIFICATES_CHANGED: Final = HANDSHAKES_ENDED + len(HANDSHAKES)
"""From here on, what became of changed certificates."""
CLASSES: Final = CERTIFICATES_CHANGED + len(RENEWALS)
"""From here on, for each class of status: how many requests ended in each way, and the histogram of each phase."""
CLASS: Final = len(ENDED_BY) + len(PHASES) * HISTOGRAM  # numbers of one
SLOTS: Final = CLASSES + CLASS * len(STATUSES)
"""From here on, the slots of the series."""

NUMBER_BYTES: Final = 8
_NAMES: Final = (STATUSES, ENDED_BY, PHASES, STATES, HANDSHAKES, RENEWALS, TIMEOUTS, ACTIVE, FINDINGS)
_PARTS: Final = (BOUNDS, SERIES_BOUNDS, NUMBERS_OF, SECONDS_OF, COUNTS_OF, CERTIFICATES_BYTES, TICKS_PER_SECOND)
SIGNATURE: Final = crc32(repr((_NAMES, _PARTS)).encode())
"""What says that two processes mean the same by a number: they may run different versions of this module."""


def row_numbers(slots: int) -> int:
    """Return the length of a row with so many slots."""
    return SLOTS + slots * SLOT


def histogram_at(status: int, phase: str) -> int:
    """Return where the histogram of a phase begins, for statuses with this first digit."""
    return CLASSES + status * CLASS + len(ENDED_BY) + PHASES.index(phase) * HISTOGRAM


def numbers_in(memory: Any, first: int, count: int) -> memoryview:  # noqa: ANN401 - whatever has a writable buffer
    """Return `count` numbers of a memory, from number `first` on. Each is read and stored as a whole."""
    return memoryview(memory)[first * NUMBER_BYTES : (first + count) * NUMBER_BYTES].cast("q")


def to_ticks(seconds: float) -> int:
    """Return a duration in ticks."""
    return int(seconds * TICKS_PER_SECOND + 0.5)
