"""The names of processes, as `ps` shows them."""

import subprocess
import sys

import pytest

from waitressd.fleet.names import LONGEST_NAME, MASTER, template_name, worker_name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (MASTER, "waitressd-main"),
        (template_name(7), "waitressd-code7"),
        (template_name(10), "waitressd-c10"),
        (template_name(123456), "code123456"),
        (worker_name(2), "waitressd-w2"),
        (worker_name(256), "waitressd-w256"),
    ],
)
def test_a_name_is_never_cut(name: str, expected: str) -> None:
    assert name == expected
    assert len(name) <= LONGEST_NAME


@pytest.mark.skipif(sys.platform != "linux", reason="processes have no names here")
def test_a_process_is_called_so() -> None:
    code = (
        "import os; from waitressd.fleet.names import name_process, worker_name; name_process(worker_name(2))\n"
        "print(open(f'/proc/{os.getpid()}/comm').read(), end='')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "waitressd-w2\n"


def test_elsewhere_nothing_happens() -> None:
    code = (
        "from pathlib import Path; from waitressd.fleet import names\n"
        "names._COMM = Path('/no/such/comm'); names.name_process('a')"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
