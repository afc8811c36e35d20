"""``waitressd top``: with textual where that is installed, else the same lines drawn again each second.

Whatever ends it, the terminal is left as it was.
"""

import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final, NoReturn

from waitressd.tools.client import Client
from waitressd.tools.failures import YES, NoAnswerError
from waitressd.tools.picture import EVERY_SECONDS, Choice, Picture, look
from waitressd.tools.printing import write_text
from waitressd.tools.tables import Line, Output
from waitressd.tools.terminal import output_of

MORE: Final = "for keys, stacks and profiles: pip install 'waitressd[top]'"
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_TERMINATED: Final = 128 + signal.SIGTERM
_FALLBACK_HEIGHT: Final = 24


def run_top(client: Client) -> int:
    """Show a server until told to end; to a file or a pipe only once. Raises NoAnswerError if it never answered."""
    picture = look(client, Picture())
    if picture.trouble:
        raise NoAnswerError(picture.trouble)
    if not (sys.stdout.isatty() and sys.stdin.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        write_text("\n".join(frame(picture, output_of(sys.stdout), None)))
        return YES
    try:
        from waitressd.tools.screen import run_screen  # noqa: PLC0415 - an extra
    except ImportError as error:
        if error.name and error.name.partition(".")[0] == "waitressd":
            raise
        return _redraw(client, picture)
    return run_screen(client, picture)


def frame(picture: Picture, output: Output, height: int | None) -> list[str]:
    """Draw a picture as lines; with a height that many at most, and the last one says what more there is."""
    heading = output.parts(picture.heading(output.encoding))
    requests = picture.chosen(Choice())
    table = output.table(picture.table(Choice())) if requests else ["no requests in flight"]
    lines = [*heading, "", *table]
    if height is None:
        return lines
    room = height - 1
    hidden = min(len(requests), max(0, len(lines) - room))
    more = f"{hidden} more; " if hidden else ""
    return [*lines[:room], output.line(Line(f"{more}q ends; {MORE}", "dim"))]


def _redraw(client: Client, picture: Picture) -> int:
    """Draw again each second. Ctrl-C and q end it; so does SIGTERM, with its own status."""
    with _terminal():
        while True:
            output = output_of(sys.stdout)
            lines = frame(picture, output, _height())
            text = "\x1b[H" + "\n".join(f"{line}\x1b[K" for line in lines) + "\x1b[J"
            data = text.encode(output.encoding, "replace")
            try:
                sys.stdout.buffer.write(data)
                sys.stdout.flush()
                if _is_told_to_end(EVERY_SECONDS):
                    return YES
                picture = look(client, picture)
            except KeyboardInterrupt:
                return YES
            except OSError:  # the terminal is gone, and nobody looks any more
                return YES


def _height() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).lines or _FALLBACK_HEIGHT
    except OSError:
        return _FALLBACK_HEIGHT


@contextlib.contextmanager
def _terminal() -> Iterator[None]:
    """Take the terminal, and give it back as it was."""
    before = signal.signal(signal.SIGTERM, _end)
    try:
        with _keys():
            sys.stdout.write(_ENTER)
            try:
                yield
            finally:
                with contextlib.suppress(OSError):
                    sys.stdout.write(_LEAVE)
                    sys.stdout.flush()
    finally:
        signal.signal(signal.SIGTERM, before)


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit(_TERMINATED)


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Get keys as they are pressed, where the system can do so."""
    try:
        import termios  # noqa: PLC0415 - Windows has none
        import tty  # noqa: PLC0415 - nor this
    except ImportError:
        yield
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    # Stopped by Ctrl-Z it would leave the shell with the terminal as it is now.
    stop = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
        signal.signal(signal.SIGTSTP, stop)


def _is_told_to_end(seconds: float) -> bool:
    """Wait, and look for the key that ends it; also the end of the input does."""
    if sys.platform == "win32":
        time.sleep(seconds)
        return False
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if select.select([sys.stdin], [], [], left)[0] and os.read(sys.stdin.fileno(), 64)[:1] in (b"q", b"Q", b""):
            return True
    return False
