"""One tick a second looks, reads and says. What comes of it is in tests/functional/test_insight_*.py."""

import time

from tests.apps.plain import hello
from tests.support.servers import running_server
from tests.support.waiting import wait_until
from waitressd.insight.monitor import Monitor


def test_a_tick_takes_a_reading_once_a_second() -> None:
    with running_server(hello) as server:
        assert wait_until(lambda: server.server.lanes)
        monitor = Monitor(server.server, 1)
        server.server.on_tick.remove(monitor.on_tick)  # this thread ticks instead
        begun = monitor.started
        monitor.on_tick(begun)
        assert monitor.history.window(300).seconds == 1
        for tick in range(1, 31):
            monitor.on_tick(begun + tick / 10)
        assert monitor.history.window(300).seconds == 3
        assert monitor.cpu.share is not None


def test_it_ticks_with_its_server() -> None:
    with running_server(hello) as server:
        assert wait_until(lambda: server.server.lanes)
        monitor = Monitor(server.server, 1)
        assert monitor.on_tick in server.server.on_tick
        assert wait_until(lambda: not monitor.history.is_due(time.monotonic()) and monitor.cpu.share is not None)
        assert monitor.findings() == []
        assert monitor.overdue_count(monitor.load()) == 0
