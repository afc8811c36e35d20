"""What the server takes from the machine is the real thing unless it is given something else."""

import sys
import threading
import time

import pytest

from waitressd.machine import MACHINE, Machine, thread_pauses


def test_the_real_machine_is_the_system_s() -> None:
    assert (MACHINE.monotonic, MACHINE.thread_time, MACHINE.sleep) == (time.monotonic, time.thread_time, time.sleep)
    assert (MACHINE.new_lock, MACHINE.new_condition) == (threading.Lock, threading.Condition)
    assert MACHINE.new_thread is threading.Thread


def test_a_part_can_be_replaced() -> None:
    assert Machine(monotonic=lambda: 5.0).monotonic() == 5.0
    assert Machine(monotonic=lambda: 5.0).new_lock is threading.Lock


def test_a_thread_that_waits_gives_up_the_processor_by_itself() -> None:
    before = thread_pauses()
    for _ in range(3):
        threading.Event().wait(0.001)
    after = thread_pauses()
    assert after >= before + 3 or (before, after) == (-1, -1)


def test_nobody_counts_that_on_some_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert thread_pauses() == -1
