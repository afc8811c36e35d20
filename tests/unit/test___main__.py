"""``python -m waitressd`` is the command."""

import subprocess
import sys
from pathlib import Path

from waitressd import __version__

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "waitressd", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd=ROOT)


def test_the_module_is_the_command() -> None:
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith(f"waitressd {__version__} ")


def test_the_status_is_the_command_s() -> None:
    assert run("--no-such-option").returncode == 2
