"""What a child lets go of, and how it ends."""

import os
import sys
import threading
from collections.abc import Callable
from typing import NoReturn

import pytest

from waitressd import forks

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


class Held:
    """A holder that remembers whether it was asked to let go."""

    def __init__(self, order: list["Held"], trouble: Exception | None = None) -> None:
        self.order = order
        self.trouble = trouble

    def let_go(self) -> None:
        """Be noted, and fail if that is wanted."""
        self.order.append(self)
        if self.trouble is not None:
            raise self.trouble


def status_of(child: Callable[[], object]) -> int:
    """Run `child` in a forked process, which ends with what it returns."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(int(bool(child())))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_last_holder_lets_go_first_and_a_defect_keeps_nobody() -> None:
    order: list[Held] = []
    holders = [Held(order), Held(order, ZeroDivisionError()), Held(order)]
    for holder in holders:
        forks.hold(holder)
    try:
        assert status_of(lambda: order == holders[::-1]) == 1
        assert order == []
    finally:
        for holder in holders:
            forks.drop(holder)
            forks.drop(holder)  # twice is harmless
    assert status_of(lambda: order == []) == 1


def test_only_the_thread_that_forked_is_ended() -> None:
    holder = Held([])

    def child() -> bool:
        other = threading.Thread(target=forks.end_stray)
        other.start()
        other.join()
        forks.end_stray(SystemExit(7))
        return False

    forks.end_stray(SystemExit(3))  # this process serves, or does not know of servers
    forks.hold(holder)
    try:
        assert status_of(child) == 7
    finally:
        forks.drop(holder)


def test_a_child_of_the_server_itself_is_no_stray() -> None:
    """It has nothing to come back to; and what it forks is looked after as in any server."""

    def child() -> bool:
        forks.welcome_child()
        forks.end_stray(SystemExit(7))
        forks.hold(Held([]))

        def grandchild() -> bool:
            forks.end_stray(SystemExit(5))
            return False

        return status_of(grandchild) == 5

    holder = Held([])
    forks.hold(holder)
    try:
        assert status_of(child) == 1
    finally:
        forks.drop(holder)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, 0),
        (SystemExit(), 0),
        (SystemExit(0), 0),
        (SystemExit(7), 7),
        (SystemExit(-1), 255),
        (SystemExit("words"), 1),
        (ValueError(), 1),
        (KeyboardInterrupt(), 1),
    ],
)
def test_the_status_is_that_of_the_interpreter(error: BaseException | None, status: int) -> None:
    def child() -> NoReturn:
        forks.leave(error)

    assert status_of(child) == status


def test_streams_that_are_closed_or_missing_change_nothing() -> None:
    def child() -> NoReturn:
        sys.stdout = None  # as in pythonw
        sys.stderr = None  # as in pythonw
        forks.leave(SystemExit("words"))

    assert status_of(child) == 1
