"""Gauges are read as they were written."""

from waitressd.metrics import layout
from waitressd.metrics.area import Area
from waitressd.metrics.figures import Figures
from waitressd.metrics.gauges import gauges_age, read_gauges, write_certificates, write_gauges


def test_what_is_written_is_read() -> None:
    area = Area.private()
    row = area.row(area.claim(1) or 0)
    assert gauges_age(row, 5.0) is None
    figures = Figures(
        busy_threads=3,
        idle_threads=1,
        overdue_threads=2,
        threads_limit=4,
        queue_depth=7,
        queue_limit=1000,
        oldest_wait_seconds=0.5,
        connections=dict.fromkeys(layout.STATES, 0) | {"idle": 9},
        connections_limit=500,
        running={("GET", "https"): 2, ("_OTHER", "http"): 1},
        open_handshakes=4,
        rss_bytes=1 << 40,
        fds=None,
        fd_limit=1024,
        cpu_seconds=12.5,
        process_started=1_800_000_000.0,
        findings=frozenset({"WD03", "WD12"}),
    )
    write_gauges(row, figures, 10.0)
    assert read_gauges(row) == figures
    assert gauges_age(row, 12.5) == 2.5
    write_certificates(row, {"a": 1.0})
    assert read_gauges(row).certificate_ends == {"a": 1.0}
    write_gauges(row, Figures(), 11.0)
    assert read_gauges(row).findings is None
