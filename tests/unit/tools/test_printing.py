"""Standard output: readers that have gone, disks that are full, letters that it does not know."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
WRITE = "from waitressd.tools.printing import write_text\nwrite_text('x' * 1_000_000)\nwrite_text('y')\n"


def test_a_reader_that_has_gone_is_no_failure() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITE], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no full device")
def test_a_full_disk_is_said() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", WRITE], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert "NoAnswerError: cannot write to standard output: No space left on device" in done.stderr


def test_letters_that_the_output_does_not_know_are_escaped() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from waitressd.tools.printing import write_text\nwrite_text('gr\\xf6\\u20ac')"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.rstrip() == b"gr\xf6\\u20ac"
