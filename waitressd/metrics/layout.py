"""Where which number of a row is: the row is what one process counts, and how busy it is.

A row is an array of 8-byte numbers, in shared memory or not. Each has one writer, so whoever reads a row sees each
number as it was a moment ago. Durations are summed in ticks: with whole numbers a sum does not depend on the order in
which its parts are added, so it never falls when the rows of processes that have ended are added up.
"""

from typing import Any, Final
from zlib import crc32

from waitressd.metrics.histogram import BOUNDS, BUCKETS

STATUSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Classes of status by the first digit; none is sent by a request that was not answered."""

ENDINGS: Final = {"": 0, "refused": 1, "client": 2, "deadline": 3, "error": 4, "stop": 5, "timeout": 6}
"""The number of each `ended_by` of a record."""
ENDED_BY: Final = ("complete", *(name for name in ENDINGS if name))
"""How the metrics call them."""

PHASES: Final = ("queue", "application", "flush", "total")
STATES: Final = ("idle", "head", "body", "queued", "running", "flushing", "lingering")
"""The states of connections, as a snapshot of the server has them."""

HANDSHAKES: Final = (
    "full", "resumed", "gone", "timeout", "evicted",
    "plain_http", "no_version", "no_cipher", "client_certificate", "error",
)  # fmt: skip
"""How handshakes of TLS may end."""
RENEWALS: Final = ("renewed", "refused")
"""What may become of certificates that have changed."""

TICKS_PER_SECOND: Final = 1 << 20  # about a microsecond; 8 bytes hold 270,000 years

_HISTOGRAM: Final = BUCKETS + 1  # numbers of one histogram: its buckets, and the sum in ticks

BODY_BYTES_RECEIVED: Final = 0
BODY_BYTES_SENT: Final = 1
REQUESTS: Final = 2
"""From here on, for each class of status, how many requests ended in each way."""
_HISTOGRAMS: Final = REQUESTS + len(STATUSES) * len(ENDINGS)
HISTOGRAMS: Final = tuple(
    tuple(_HISTOGRAMS + (status * len(PHASES) + phase) * _HISTOGRAM for phase in range(len(PHASES)))
    for status in range(len(STATUSES))
)
"""For each class of status, where the histogram of each phase begins."""
HANDSHAKES_ENDED: Final = _HISTOGRAMS + len(STATUSES) * len(PHASES) * _HISTOGRAM
"""From here on, how many handshakes ended in each way."""
CERTIFICATES_CHANGED: Final = HANDSHAKES_ENDED + len(HANDSHAKES)
"""From here on, what became of changed certificates."""
COUNTERS: Final = CERTIFICATES_CHANGED + len(RENEWALS)
"""How many numbers count, from the first on; those behind them are gauges."""

GAUGES_AT: Final = COUNTERS  # when the gauges were written, in monotonic ticks; 0 never
BUSY_THREADS: Final = COUNTERS + 1
IDLE_THREADS: Final = COUNTERS + 2
QUEUE_DEPTH: Final = COUNTERS + 3
OLDEST_WAIT: Final = COUNTERS + 4  # in ticks
OPEN_HANDSHAKES: Final = COUNTERS + 5
CONNECTIONS: Final = COUNTERS + 6
CERTIFICATES: Final = CONNECTIONS + len(STATES)
"""The number of bytes of a text, and from the next number on the text: when which certificate expires, as JSON."""
CERTIFICATES_BYTES: Final = 2048
NUMBERS: Final = CERTIFICATES + 1 + CERTIFICATES_BYTES // 8
"""The length of a row."""

NUMBER_BYTES: Final = 8
SIGNATURE: Final = crc32(
    repr((STATUSES, ENDED_BY, PHASES, STATES, HANDSHAKES, RENEWALS, BOUNDS, TICKS_PER_SECOND)).encode()
)
"""What says that two processes mean the same by a number: they may run different versions of this module."""


def numbers_in(memory: Any, first: int, count: int) -> memoryview:  # noqa: ANN401 - whatever has a writable buffer
    """Return `count` numbers of a memory, from number `first` on. Each is read and stored as a whole."""
    return memoryview(memory)[first * NUMBER_BYTES : (first + count) * NUMBER_BYTES].cast("q")


def to_ticks(seconds: float) -> int:
    """Return a duration in ticks."""
    return int(seconds * TICKS_PER_SECOND + 0.5)
