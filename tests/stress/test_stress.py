"""A few seconds of everything at once, with the threads switching as usual, all the time, and on one processor."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.stress.load import run
from tests.support.servers import ROOT

SECONDS = 2.5


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Threads switch after a microsecond instead of five milliseconds."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_everything_at_once() -> None:
    assert len(run(SECONDS, seed=1)) >= 8


@pytest.mark.usefixtures("hasty_threads")
def test_everything_at_once_with_hasty_threads() -> None:
    assert len(run(SECONDS, seed=2)) >= 8


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be pinned here")
def test_everything_at_once_on_one_processor() -> None:
    command = [sys.executable, "-X", "dev", "-m", "tests.stress", "--seconds", str(SECONDS), "--seed", "3", "--pin"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=55, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warning" not in done.stderr
