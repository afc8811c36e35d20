"""RequestTimeout is raised where it may be, once, and nowhere else."""

import sys
import threading
import time

import pytest

from tests.support.injections import inject
from waitressd.http.errors import RequestTimeout
from waitressd.net import interrupt
from waitressd.net.interrupt import Interruption

pytestmark = pytest.mark.skipif(bool(interrupt.TROUBLE), reason="only CPython interrupts")


def test_a_task_is_interrupted_once() -> None:
    interruption = Interruption()
    begun, caught = threading.Event(), threading.Event()
    times: list[int] = []

    def work() -> None:
        try:
            interruption.allow()
            begun.set()
            while True:
                pass
        except RequestTimeout:
            times.append(1)
            caught.set()
            time.sleep(0.05)
            interruption.forbid()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    assert interruption.send()
    assert caught.wait(10)
    assert not interruption.send()
    thread.join(10)
    assert not interruption.send()
    assert times == [1]


def test_a_task_that_has_ended_is_let_alone() -> None:
    interruption = Interruption()
    interruption.allow()
    interruption.forbid()
    assert not interruption.send()


def test_the_end_waits_for_who_is_just_interrupting() -> None:
    interruption = Interruption()
    interruption.allow()
    interruption._permission.pop()  # as the other thread does first
    done = threading.Event()

    def end() -> None:
        interruption.forbid()
        done.set()

    thread = threading.Thread(target=end)
    thread.start()
    assert not done.wait(0.05)
    interruption._was_sent = True
    assert done.wait(10)
    thread.join()


def test_nothing_arrives_during_a_pause() -> None:
    interruption = Interruption()
    begun, sent, over = threading.Event(), threading.Event(), threading.Event()
    steps: list[str] = []

    def work() -> None:
        try:
            interruption.allow()
            assert interruption.pause()
            begun.set()
            assert sent.wait(10)
            steps.append("paused")
            interruption.allow()
            while True:
                time.sleep(0.001)
        except RequestTimeout:
            steps.append("interrupted")
            interruption.forbid()
            over.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    assert not interruption.send()
    sent.set()
    while not interruption.send():
        time.sleep(0.001)
    assert over.wait(10)
    thread.join(10)
    assert steps == ["paused", "interrupted"]


def test_a_pause_after_an_interruption_goes_on_at_once() -> None:
    """The application has caught it, and writes on."""
    interruption = Interruption()
    begun, done = threading.Event(), threading.Event()

    def work() -> None:
        interruption.allow()
        try:
            begun.set()
            while True:
                pass
        except RequestTimeout:
            pass
        assert not interruption.pause()
        assert not interruption.pause()
        interruption.forbid()
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    assert interruption.send()
    assert done.wait(10)
    thread.join(10)


@pytest.mark.parametrize("switch_seconds", [1e-6, 1e-4])
def test_nothing_leaves_the_guarded_part(switch_seconds: float) -> None:
    before = sys.getswitchinterval()
    found = inject(1500, seed=1, switch_seconds=switch_seconds)
    assert found.leaked == 0
    assert found.sent >= 1500
    assert found.caught > 0
    assert sys.getswitchinterval() == before
