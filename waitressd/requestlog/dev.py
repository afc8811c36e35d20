"""Request lines for the developer of an application: aligned, with durations, coloured on a terminal.

The traceback of a failed request is written right below its line, in the same write. It is removed from the server's
own line about the failure, so that it is shown once.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from waitressd.console import takes_colours
from waitressd.kinds import boolean
from waitressd.requestlog.context import current
from waitressd.requestlog.escaping import escape
from waitressd.requestlog.formats import shown_status
from waitressd.requestlog.options import Options
from waitressd.requestlog.record import RequestRecord
from waitressd.requestlog.times import clock_time

_RESET: Final = "\x1b[0m"
_DIM: Final = "\x1b[2m"
_BOLD: Final = "\x1b[1m"
_STATUS_COLOURS: Final = {2: "\x1b[32m", 3: "\x1b[36m", 4: "\x1b[33m", 5: "\x1b[31m"}
_SLOW_SECONDS: Final = 0.5  # from here on a duration is printed bold

_WORDS: Final = {
    "client": "the client left",
    "deadline": "too slow",
    "stop": "cut off by the stop",
    "timeout": "over its time",
}


class DevLog:
    """Writes to standard error, or to the standard error of the moment: tests and consoles replace it."""

    def __init__(self, *, colour: bool | None = None) -> None:
        self._colour = colour
        self._filter = _TracebackFilter()

    def __call__(self, record: RequestRecord) -> None:
        """Write the line, and the traceback below it. Any thread."""
        text = self.format(record, colour=self._is_coloured())
        stream = sys.stderr
        stream.write(text)
        stream.flush()

    def start(self, _server: object) -> None:
        """Begin to keep tracebacks out of the server's lines."""
        logging.getLogger("waitressd").addFilter(self._filter)

    def close(self) -> None:
        """Leave the server's lines as they are again."""
        logging.getLogger("waitressd").removeFilter(self._filter)

    def format(self, record: RequestRecord, *, colour: bool) -> str:
        """Return the line with its end, and the traceback of a failed request."""
        status = shown_status(record)
        paint = _paint if colour else _leave_plain
        parts = [
            paint(_DIM, clock_time(record.time)),
            paint(_STATUS_COLOURS.get(status // 100, ""), str(status)),
            paint(_BOLD if record.duration >= _SLOW_SECONDS else "", f"{show_seconds(record.duration):>8}"),
            paint(_DIM, f"{show_bytes(record.body_bytes_sent):>8}"),
            f"{escape(record.method) or '-':<7}",
            escape(record.target or record.request_line) or "-",
        ]
        if record.queue_time is not None and record.queue_time >= 0.001:
            parts.append(paint(_DIM, f"waited {show_seconds(record.queue_time)}"))
        reason = record.detail or _WORDS.get(record.ended_by, "")
        if reason:
            parts.append(paint(_DIM, f"({escape(reason)})"))
        return " ".join(parts) + "\n" + self._traceback(record, paint)

    def _traceback(self, record: RequestRecord, paint: Callable[[str, str], str]) -> str:
        if record.exception is None:
            return ""
        lines = "".join(traceback.format_exception(record.exception)).rstrip("\n").split("\n")
        # The text of an exception may come from a client: what is not printable is escaped.
        shown = ["".join(char if char.isprintable() else ascii(char)[1:-1] for char in line) for line in lines]
        shown[-1] = paint(_STATUS_COLOURS[5], shown[-1])
        return "".join(f"    {line}\n" for line in shown)

    def _is_coloured(self) -> bool:
        if self._colour is not None:
            return self._colour
        return takes_colours(sys.stderr)


def _paint(code: str, text: str) -> str:
    return f"{code}{text}{_RESET}" if code else text


def _leave_plain(_code: str, text: str) -> str:
    return text


class _TracebackFilter(logging.Filter):
    """Takes the traceback out of the line about a failure that is printed below its request."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass, some of them shorter."""
        request = current.get()
        if record.exc_info and request is not None and record.exc_info[1] is request.exception:
            record.exc_info = None
        return True


def show_seconds(seconds: float) -> str:
    """Show a duration in three digits or so."""
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.1f} ms"
    return f"{seconds:.2f} s"


def show_bytes(count: float) -> str:
    """Show an amount of bytes in three digits or so."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"


def dev(_global_conf: Mapping[str, str], **options: Any) -> DevLog:  # noqa: ANN401 - ini text, or from Python anything
    """Make the request log for development (``egg:waitressd#dev``)."""
    read = Options(options)
    colour = read.take("colour", boolean(), None)
    read.finish()
    return DevLog(colour=colour)
