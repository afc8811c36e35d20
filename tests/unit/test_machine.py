"""What the server takes from the machine is the real thing unless it is given something else."""

import threading
import time

from waitressd.machine import MACHINE, Machine


def test_the_real_machine_is_the_system_s() -> None:
    assert (MACHINE.monotonic, MACHINE.thread_time, MACHINE.sleep) == (time.monotonic, time.thread_time, time.sleep)
    assert (MACHINE.new_lock, MACHINE.new_condition) == (threading.Lock, threading.Condition)
    assert MACHINE.new_thread is threading.Thread


def test_a_part_can_be_replaced() -> None:
    assert Machine(monotonic=lambda: 5.0).monotonic() == 5.0
    assert Machine(monotonic=lambda: 5.0).new_lock is threading.Lock
