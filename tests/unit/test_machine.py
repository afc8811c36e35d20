"""What the server takes from the machine is the real thing unless it is given something else."""

import threading
import time
from pathlib import Path

from waitressd.machine import MACHINE, Machine, processor_delay


def test_the_real_machine_is_the_system_s() -> None:
    assert (MACHINE.monotonic, MACHINE.thread_time, MACHINE.sleep) == (time.monotonic, time.thread_time, time.sleep)
    assert (MACHINE.new_lock, MACHINE.new_condition) == (threading.Lock, threading.Condition)
    assert MACHINE.new_thread is threading.Thread


def test_a_part_can_be_replaced() -> None:
    assert Machine(monotonic=lambda: 5.0).monotonic() == 5.0
    assert Machine(monotonic=lambda: 5.0).new_lock is threading.Lock


def test_how_long_a_thread_has_waited_for_a_processor_is_what_the_kernel_says(tmp_path: Path) -> None:
    said = tmp_path / "schedstat"
    said.write_text("5000000000 2500000000 17\n")
    assert processor_delay(str(said)) == 2.5
    assert processor_delay() <= processor_delay()


def test_nobody_has_waited_where_the_kernel_says_nothing(tmp_path: Path) -> None:
    said = tmp_path / "schedstat"
    assert processor_delay(str(said)) == 0.0
    for text in ("", "5", "a b c"):
        said.write_text(text)
        assert processor_delay(str(said)) == 0.0
