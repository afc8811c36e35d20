"""Where a command writes to: its width and its colours."""

import io
import os
import sys

import pytest

from waitressd.tools.tables import Output
from waitressd.tools.terminal import output_of


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
