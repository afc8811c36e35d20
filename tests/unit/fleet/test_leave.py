"""The end of a process that was forked out of somebody's program."""

import pytest

from tests.support.scripts import run_script

START = """
import atexit, logging, os, threading, time
from waitressd.fleet.leave import leave_process
"""


@pytest.mark.parametrize("status", [0, 1, 3])
def test_the_status_is_that_of_the_process(status: int) -> None:
    assert run_script(f"{START}\nleave_process({status})").returncode == status


def test_nothing_of_the_program_goes_on() -> None:
    program = START + "try:\n leave_process(0)\nfinally:\n print('still here', flush=True)"
    assert run_script(program).stdout == ""


def test_it_ends_as_a_program_does() -> None:
    """Threads are waited for, then hooks are called, the last first; logs and streams are written out."""
    program = (
        START
        + """
from logging.handlers import MemoryHandler
logger = logging.getLogger("a")
logger.addHandler(MemoryHandler(1000, target=logging.StreamHandler(sys.stdout)))
logger.warning("a line that waits")
atexit.register(print, "first hook")
atexit.register(print, "second hook")
go = threading.Event()
def work():
    go.wait()
    print("thread")
threading.Thread(target=work).start()
threading.Timer(0.05, go.set).start()
leave_process(0)
"""
    )
    ended = run_script(program)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.splitlines() == ["thread", "second hook", "first hook", "a line that waits"]


def test_executors_finish_their_work() -> None:
    program = (
        START
        + """
from concurrent.futures import ThreadPoolExecutor
go = threading.Event()
ThreadPoolExecutor(1).submit(lambda: (go.wait(), print("done")))
threading.Timer(0.05, go.set).start()
leave_process(0)
"""
    )
    assert run_script(program).stdout == "done\n"


@pytest.mark.parametrize(
    "trouble",
    [
        "atexit.register(sys.exit, 9)",
        "atexit.register(lambda: 1 / 0)",
        "sys.stdout.close()",
        "sys.stdout = sys.stderr = None",
        "os.close(1); os.close(2)",
        "logging.shutdown = lambda: 1 / 0",
    ],
)
def test_what_fails_meanwhile_does_not_change_the_status(trouble: str) -> None:
    assert run_script(f"{START}\n{trouble}\nleave_process(3)").returncode == 3
