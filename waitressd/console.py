"""What somebody who starts the server in a terminal sees beside the log: a banner, and what is waited for.

On anything but a terminal none of it is written, so files and pipes have the lines of the log alone. Knows no server:
values in, text out.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO

from waitressd.version import __version__

CLEAR: Final = "\x1b[K"  # from the cursor to the end of the line
PATIENCE_SECONDS: Final = 1.0  # what takes less is not worth a line
NAME_CHARACTERS: Final = 40  # of a file, in a line that may be overwritten by a shorter one

_BOLD: Final = "\x1b[1m"
_DIM: Final = "\x1b[2m"
_RESET: Final = "\x1b[0m"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether somebody may look at this stream now."""
    with contextlib.suppress(ValueError):  # it is closed
        return stream is not None and stream.isatty()
    return False


def takes_colours(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour what is written there: https://no-color.org, https://force-color.org, then the terminal."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_screen(stream, environ)


def is_screen(stream: TextIO | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this is a terminal that moves its cursor when it is told to."""
    return is_terminal(stream) and environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Start:
    """What a banner says of a server that has begun to serve."""

    addresses: Sequence[str]
    threads: int
    workers: int = 1
    config: str = ""
    """The ini file; empty for none."""
    admin: str = ""
    """The first admin address; empty for none."""
    reload_pid: int = 0
    """The process that loads new code at SIGHUP; 0 where none does."""


def banner(start: Start, *, coloured: bool) -> str:
    """Return four lines at most: where it serves, with what, how to stop it, and how to look into it."""
    config = _from_here(start.config)
    size = f"{start.threads} thread{'s' * (start.threads != 1)}"
    if start.workers != 1:
        size = f"{start.workers} workers x {size}"
    reload = f"; kill -HUP {start.reload_pid} loads new code" if start.reload_pid else ""
    lines = [
        f"waitressd {__version__} on {_paint(_BOLD, ', '.join(start.addresses), coloured=coloured)}",
        f"  {size}" + (f", as {config} says" if config else ""),
        f"  Ctrl-C stops it{reload}",
    ]
    if start.admin:
        lines.append(f"  waitressd top {config or start.admin} shows who is in it")
    return "".join(f"{lines[0]}\n" if index == 0 else f"{_paint(_DIM, line, coloured=coloured)}\n"
                   for index, line in enumerate(lines))  # fmt: skip


def _from_here(path: str) -> str:
    """Name a file as somebody would who is in the current folder."""
    with contextlib.suppress(ValueError, OSError):  # it is elsewhere; the current folder was removed
        return str(Path(path).relative_to(Path.cwd())) if path else ""
    return path


def _paint(code: str, text: str, *, coloured: bool) -> str:
    return f"{code}{text}{_RESET}" if coloured else text


def in_passing(text: str) -> str:
    """Return a line that whatever is written next takes the place of."""
    return f"{CLEAR}{text}\r"


@contextlib.contextmanager
def loading(what: str, stream: TextIO | None) -> Iterator[None]:
    """Say what is being loaded while the block does it. No thread: the application may fork while it is loaded."""
    if stream is None or not is_screen(stream):
        yield
        return
    stream.write(in_passing(f"loading {what[-NAME_CHARACTERS:]} ..."))
    stream.flush()
    try:
        yield
    finally:
        stream.write(CLEAR)
        stream.flush()


class Waiting:
    """One line about what is waited for, renewed in its place, once it has taken a second. One thread.

    `write` gets text as it is, and puts it among the lines of the log; None where there is no terminal.
    """

    def __init__(self, write: Callable[[str], object] | None) -> None:
        self._write = write
        self._since: float | None = None
        self._shown = ""

    @property
    def is_watched(self) -> bool:
        """Whether somebody may look: else there is no need to find out what is waited for."""
        return self._write is not None

    def look(self, now: float, text: str) -> None:
        """Say what is waited for at this moment (monotonic seconds); nothing ends it."""
        if self._write is None:
            return
        if not text:
            self.end()
        elif self._since is None:
            self._since = now
        elif now >= self._since + PATIENCE_SECONDS and text != self._shown:
            self._shown = text
            self._write(in_passing(text))

    def end(self) -> None:
        """Take the line away."""
        if self._write is not None and self._shown:
            self._write(CLEAR)
        self._since, self._shown = None, ""


def finishing(things: int, noun: str, seconds: float) -> str:
    """Say what a stop waits for; `seconds` is what it may still take."""
    number = f"{things} {noun}{'s' * (things != 1)}" if things else "clients"
    return f"finishing: {number}, {max(0.0, seconds):.0f} s at most"
