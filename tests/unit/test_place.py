"""What a process knows of itself, and what a forked one knows instead."""

import os
import subprocess
import sys

import pytest

import waitressd
from waitressd.place import Place, here, set_place, worker_number

FORKED = """
import logging, os, sys
from waitressd.operatorlog import operator_log
from waitressd.place import here, set_place
from waitressd.requestlog import RequestFormatter
handler = logging.StreamHandler(sys.stdout)
handler.setFormatter(RequestFormatter("%(message)s %(process)d %(pid)d %(worker)d"))
logger = logging.getLogger("waitressd")
logger.addHandler(handler)
with operator_log.running():
    logger.warning("first")
before = operator_log._jobs
before.append(lambda: print("said again"))  # a line on its way at the moment of the fork
pid = os.fork()
if pid == 0:
    set_place(2, 4)
    operator_log.say(logger, logging.WARNING, "child")
    assert here == type(here)(2, 4, os.getpid()), here
    sys.stdout.flush()
    os._exit(0)
before.clear()
status = os.waitpid(pid, 0)[1]
operator_log.say(logger, logging.WARNING, "parent")
print(os.getpid(), pid, status)
"""


def test_outside_of_a_fleet_there_is_no_place() -> None:
    assert waitressd.worker_number is worker_number
    assert (worker_number(), here) == (0, Place(0, 0, os.getpid()))


def test_a_worker_has_a_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(here, "number", 0)
    monkeypatch.setattr(here, "workers", 0)  # both are put back
    set_place(3, 4)
    assert worker_number() == 3
    assert here.workers == 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_every_line_has_the_process_that_said_it() -> None:
    """Also where the process id is kept, and where lines wait for their writer while a child is forked."""
    run = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    *lines, last = run.stdout.splitlines()
    parent, child, status = last.split()
    assert status == "0"
    assert lines == [f"first {parent} {parent} 0", f"child {child} {child} 2", f"parent {parent} {parent} 0"]
