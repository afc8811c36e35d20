"""Ctrl-C while a command is still being imported: it ends in silence."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

# A finder that interrupts as soon as something asks for the module that has this number among those of ours.
INTERRUPTING: Final = """
import os, signal, sys

class Finder:
    left = int(sys.argv.pop(1))

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.startswith("waitressd."):
            cls.left -= 1
            if cls.left == 0:
                sys.stdout.write("interrupted")
                sys.stdout.flush()
                os.kill(os.getpid(), signal.SIGINT)

from waitressd.entry import main
sys.meta_path.insert(0, Finder)
sys.exit(main())
"""


def interrupted(number: int, *words: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that gets a SIGINT as it imports its module of this number."""
    command = [sys.executable, "-c", INTERRUPTING, str(number), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (("--listen=127.0.0.1:0", "wsgiref.simple_server:demo_app"), (1, 9, 30, 80, 140)),
        (("ready", "127.0.0.1:1"), (1, 5, 9)),
        (("convert", "--", "gunicorn", "shop:app"), (4, 12)),
    ],
)
def test_an_interrupt_among_the_imports_ends_in_silence(words: tuple[str, ...], numbers: tuple[int, ...]) -> None:
    for number in numbers:
        done = interrupted(number, *words)
        assert (done.returncode, done.stderr, done.stdout) == (-signal.SIGINT, "", "interrupted"), number


def test_what_comes_before_the_command_is_next_to_nothing() -> None:
    """Nobody can catch there what an interrupt raises."""
    code = (
        "import signal, sys\nbefore = set(sys.modules)\nimport waitressd.entry\n"
        "print(*sorted(name for name in set(sys.modules) - before if not name.startswith('importlib')))"
    )
    run = subprocess.run([sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    ours = {"waitressd", "waitressd.entry", "waitressd.firstuse", "waitressd.version"}
    assert set(run.stdout.split()) - {"warnings"} == ours


def test_who_loads_an_application_is_stopped_as_a_server_is(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "waitressd", "--listen=127.0.0.1:0", "shop:app"]
    (tmp_path / "shop.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(30)\n", encoding="utf-8")
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PYTHONPATH": str(ROOT)}
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "loading\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, "Traceback" in errors) == (0, False)
