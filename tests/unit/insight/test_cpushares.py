"""How much threads compute."""

import threading
from pathlib import Path

import pytest

from waitressd.insight.cpushares import TASKS, CpuShares, native_id_of, python_threads


class Kernel:
    """What it has counted for one thread, number 7."""

    def __init__(self, folder: Path) -> None:
        self.now = 1000.0
        self._file = folder / "7" / "schedstat"
        self._file.parent.mkdir()
        self.shares = CpuShares(lambda: self.now, folder)
        self.used(0.0)

    def used(self, seconds: float) -> None:
        self._file.write_text(f"{int(seconds * 1e9)} 12345 6\n")


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_no_file_is_opened_for_a_thread_that_is_not_there(tmp_path: Path) -> None:
    """Of each request that waits this is asked, and opening is a wait for the interpreter."""
    shares = CpuShares(folder=tmp_path)
    (tmp_path / "None").mkdir()
    (tmp_path / "None" / "schedstat").write_text("1 2 3\n")
    assert shares.share(None) is None
    assert shares._looks == {}


def test_the_share_is_that_between_two_looks(kernel: Kernel) -> None:
    kernel.used(5.0)
    assert kernel.shares.share(7) is None  # nothing to compare with
    kernel.now += 0.5
    kernel.used(5.25)
    assert kernel.shares.share(7) == pytest.approx(0.5)
    kernel.now += 1.5
    kernel.used(5.25)
    assert kernel.shares.share(7) == pytest.approx(0.125)
    kernel.now += 1.0
    assert kernel.shares.share(7) == 0.0


def test_looks_that_are_close_together_say_nothing_and_spoil_nothing(kernel: Kernel) -> None:
    kernel.shares.share(7)
    kernel.now += 0.001
    kernel.used(0.001)
    assert kernel.shares.share(7) is None
    kernel.now += 0.999
    assert kernel.shares.share(7) == pytest.approx(0.001)


def test_a_share_is_never_more_than_one_processor(kernel: Kernel) -> None:
    kernel.shares.share(7)
    kernel.now += 1.0
    kernel.used(1.004)  # it was counted later than the clock was read
    assert kernel.shares.share(7) == 1.0


def test_a_number_that_belongs_to_another_thread_by_now_is_not_compared(kernel: Kernel) -> None:
    kernel.used(50.0)
    kernel.shares.share(7)
    kernel.now += 2.0
    kernel.used(1.0)
    assert kernel.shares.share(7) is None
    kernel.now += 100.0
    kernel.used(2.0)
    assert kernel.shares.share(7) is None
    kernel.now += 1.0
    kernel.used(3.0)
    assert kernel.shares.share(7) == pytest.approx(1.0)


def test_old_looks_are_forgotten(kernel: Kernel) -> None:
    for _ in range(3):
        kernel.shares._looks[1000 + len(kernel.shares._looks)] = (kernel.now, 1)
    kernel.now += 100.0
    kernel.shares.share(7)
    assert list(kernel.shares._looks) == [7]


def test_where_nothing_is_known_nothing_is_said(tmp_path: Path, kernel: Kernel) -> None:
    assert kernel.shares.share(8) is None
    assert kernel.shares.share(None) is None
    (tmp_path / "7" / "schedstat").write_text("no number")
    assert kernel.shares.share(7) is None
    (tmp_path / "7" / "schedstat").write_text("")
    assert kernel.shares.share(7) is None


@pytest.mark.skipif(not TASKS.exists(), reason="only Linux shows it")
def test_the_kernel_says_something_of_this_thread() -> None:
    used = CpuShares()._used_nanoseconds(threading.get_native_id())
    assert used is None or used > 0  # a kernel may be built without it


def test_threads_are_known_without_a_lock() -> None:
    with threading._active_limbo_lock:  # type: ignore[attr-defined]  # a thread that hangs may hold it
        assert python_threads()[threading.get_ident()] is threading.current_thread()
        assert native_id_of(threading.get_ident()) == threading.get_native_id()
    assert native_id_of(1) is None
