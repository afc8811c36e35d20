"""A program in a terminal of its own: what it draws, as bytes, and keys for it."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_PATIENCE_SECONDS = 30.0
# Only with a terminal of its own does a program get the signal of Ctrl-C.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY); os.execv(sys.argv[1], sys.argv[1:])"
)
_ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|[()][A-Z0-9]|[=>])")


class Terminal:
    """A program that has a terminal for itself."""

    def __init__(self, process: subprocess.Popen[bytes], descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.drawn = b""

    def read_until(self, text: str) -> str:
        """Read until the program has drawn a text; returns everything, without what moves and colours."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while text not in self.shown():
            assert time.monotonic() < end, f"{text!r} is not in {self.shown()[-3000:]!r}"
            if not self._read(end):
                assert text in self.shown(), f"ended; {text!r} is not in {self.shown()[-3000:]!r}"
        return self.shown()

    def read_until_match(self, pattern: str) -> "re.Match[str]":
        """Read until what the program has drawn has a match."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            if match := re.search(pattern, self.shown()):
                return match
            assert time.monotonic() < end, f"{pattern!r} is not in {self.shown()[-3000:]!r}"
            if not self._read(end) and not re.search(pattern, self.shown()):
                raise AssertionError(f"ended; {pattern!r} is not in {self.shown()[-3000:]!r}")

    def _read(self, end: float) -> bool:
        if not select.select([self._descriptor], [], [], max(0.0, end - time.monotonic()))[0]:
            return True
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:  # Linux says so when nobody has the other side any more
            return False
        self.drawn += data
        return bool(data)

    def shown(self) -> str:
        """Return what was drawn, as text."""
        return _ESCAPE.sub("", self.drawn.decode("utf-8", "replace"))

    def forget(self) -> None:
        """Leave out what was drawn until now."""
        self.drawn = b""

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._descriptor, keys.encode())

    def settings(self) -> list[object]:
        """Return how the terminal is set."""
        return list(termios.tcgetattr(self._descriptor))

    def wait(self) -> int:
        """Read to the end, and return the status."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while self._read(end):
            assert time.monotonic() < end, f"it goes on: {self.shown()!r}"
        return self.process.wait(_PATIENCE_SECONDS)

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        self.process.send_signal(number)


@contextmanager
def in_terminal(
    command: Sequence[str], environ: Mapping[str, str], size: tuple[int, int] = (24, 80)
) -> Iterator[Terminal]:
    """Run a program in a terminal with so many lines and columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", _TAKE_TERMINAL, *command], stdin=theirs, stdout=theirs, stderr=theirs,
        env=dict(environ), start_new_session=True,
    )  # fmt: skip
    terminal = Terminal(process, ours)
    try:
        os.close(theirs)
        yield terminal
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        os.close(ours)
