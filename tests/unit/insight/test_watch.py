"""Where requests are that run for long, since when, and where they were when they became slow."""

import time
from collections.abc import Callable
from typing import Final

from tests.support.service import Service
from tests.support.waiting import wait_until
from waitressd.insight.watch import Watch
from waitressd.net.exchange import Exchange

SLOW_SECONDS: Final = 0.1


def watch_of(service: Service, slow_threshold: float = SLOW_SECONDS) -> Watch:
    return Watch(lambda: [service.lane], slow_threshold)


def running(service: Service) -> Exchange:
    """Return the request that a thread runs."""
    (worker,) = service.lane.busy_workers()
    assert isinstance(worker.job, Exchange)
    return worker.job


def look_until(watch: Watch, condition: Callable[[], object]) -> bool:
    """Look as a tick does, until something is so."""

    def looks() -> object:
        watch.look(time.monotonic())
        return condition()

    return wait_until(looks)


def test_the_place_and_the_stack_of_a_slow_request() -> None:
    with Service(2).run() as service:
        watch = watch_of(service)
        with service.all_hung(1):
            exchange = running(service)
            assert look_until(watch, lambda: watch.seen(exchange))
            first = watch.seen(exchange)
            assert first is not None
            assert first.place.endswith("Service._handle")
            watch.look(time.monotonic() + 60)
            assert watch.seen(exchange) == first  # it has not moved
            assert watch.take_stack(exchange).place == first.place
            assert not watch.take_stack(exchange)  # it is forgotten
            assert watch.seen(exchange) is None


def test_a_request_that_is_quick_is_not_looked_at() -> None:
    with Service(2).run() as service, service.all_hung(1):
        watch = watch_of(service, slow_threshold=60.0)
        watch.look(time.monotonic())
        assert watch.seen(running(service)) is None


def test_what_was_kept_of_a_request_goes_with_it() -> None:
    """Also where its end was missed: the next look finds that it is over."""
    with Service(2).run() as service:
        watch = watch_of(service)
        with service.all_hung(1):
            exchange = running(service)
            number = exchange.number
            assert look_until(watch, lambda: watch.seen(exchange))
        assert wait_until(lambda: exchange.number > number or not service.dispatcher.channels)
        assert look_until(watch, lambda: not watch._seen)  # only there can it be seen


def test_a_request_becomes_slow_while_it_is_watched() -> None:
    with Service(2).run() as service:
        watch = watch_of(service, slow_threshold=1.5)  # places are noted from one second on
        with service.all_hung(1):
            exchange = running(service)
            begun = service.lane.busy_workers()[0].started
            watch.look(begun + 1.1)
            assert watch.seen(exchange)
            assert not watch.take_stack(exchange)
            watch.look(begun + 1.6)
            assert watch.take_stack(exchange)


def test_looks_are_not_closer_than_they_need_be() -> None:
    with Service(2).run() as service:
        watch = watch_of(service, slow_threshold=2.0)
        with service.all_hung(1):
            exchange = running(service)
            begun = service.lane.busy_workers()[0].started
            watch.look(begun + 0.9)
            watch.look(begun + 1.1)  # too early after the one before
            assert watch.seen(exchange) is None
            watch.look(begun + 1.2)
            assert watch.seen(exchange)
