"""Where a command writes to: its width, its colours, and readers that have gone."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from waitressd.tools.tables import Output
from waitressd.tools.terminal import output_of

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)


def test_a_file_is_as_wide_as_needed_and_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert output_of(stream) == Output(None, coloured=False, encoding="latin-1")
    monkeypatch.setenv("COLUMNS", "60")
    assert output_of(stream).width == 60
    for nonsense in ("", "0", "-1", "wide", "9" * 50):
        monkeypatch.setenv("COLUMNS", nonsense)
        assert output_of(stream).width is None
    monkeypatch.setenv("COLUMNS", "1")
    assert output_of(stream).width == 20


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no pseudo terminals")
def test_a_terminal_has_a_width_and_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0), os.fdopen(theirs, "w", encoding="utf-8") as stream:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 97, 0, 0))
        assert output_of(stream) == Output(97, coloured=True, encoding="utf-8")
        monkeypatch.setenv("NO_COLOR", "1")
        assert not output_of(stream).coloured
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert not output_of(stream).coloured
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 2, 0, 0))
        assert output_of(stream).width == 20


WRITE = "from waitressd.tools.terminal import write_text\nwrite_text('x' * 1_000_000)\nwrite_text('y')\n"


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
        [sys.executable, "-c", "from waitressd.tools.terminal import write_text\nwrite_text('gr\\xf6\\u20ac')"],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.rstrip() == b"gr\xf6\\u20ac"
