"""Log files that are opened anew, so that a rotated one is let go. Knows handlers of `logging`, and no server."""

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from waitressd.operatorlog import operator_log
from waitressd.processend import handlers_of_logging

_logger: Final = logging.getLogger("waitressd")
_KEEPS: Final = {"w": "a", "x": "a"}
"""Modes that empty a file or want a new one, and what keeps the lines that this process has written."""
_JOIN_SECONDS: Final = 2.0  # for files that are being opened when the server ends


class Reopener:
    """Opens files anew when that was asked for.

    In a thread of its own: a disk that does not answer, or a plugin, must not keep the server's thread from its work.
    """

    def __init__(self, reopen: Callable[[], object]) -> None:
        self._reopen = reopen
        self._requests = 0  # since the last thread began
        self._thread: threading.Thread | None = None

    def ask(self) -> None:
        """Have the files opened at the next tick. Safe in a signal handler: nothing is done here."""
        self._requests += 1

    def on_tick(self) -> None:
        """Begin with what was asked for, once what was asked for before is done. The thread inside `run`."""
        if self._requests and not (self._thread is not None and self._thread.is_alive()):
            self._requests = 0
            self._thread = threading.Thread(target=self._work, name="waitressd-reopen", daemon=True)
            self._thread.start()

    def join(self) -> None:
        """Wait a moment for files that are being opened."""
        if self._thread is not None:
            self._thread.join(_JOIN_SECONDS)

    def _work(self) -> None:
        try:
            self._reopen()
        except Exception:  # border: handlers of logging are anybody's classes
            operator_log.say(_logger, logging.ERROR, "log files could not be opened anew", error=True)


def reopen_log_files() -> None:
    """Open the files of all logging handlers anew, so that a rotated file is let go. Any thread."""
    for handler in log_files():
        try:
            _reopen(handler)
        except OSError:
            operator_log.say(_logger, logging.ERROR, "cannot reopen the log file %s", handler.baseFilename, error=True)


def log_files() -> set[logging.FileHandler]:
    """Return the handlers of `logging` that write to files. Any thread."""
    return {handler for handler in handlers_of_logging() if isinstance(handler, logging.FileHandler)}


def unshared_handlers() -> tuple[str, ...]:
    """Return, in words, the handlers that use their file as if no other process wrote to it. Any thread."""
    words = []
    for handler in log_files():
        kind = type(handler).__name__
        if _rotates(handler):
            words.append(f"{kind} rotates {handler.baseFilename}")
        elif handler.mode.startswith("w") and not _is_device(handler.baseFilename):
            words.append(f"{kind} empties {handler.baseFilename} when it opens it")
    return tuple(sorted(words))


def _rotates(handler: logging.FileHandler) -> bool:
    """Whether a handler of the standard library rotates; others derive some that agree with other processes."""
    module: Any = sys.modules.get("logging.handlers")  # it is never imported for this: then, nothing rotates
    if module is None:
        return False
    by_size = isinstance(handler, module.RotatingFileHandler) and handler.maxBytes > 0
    return by_size or isinstance(handler, module.TimedRotatingFileHandler)


def _is_device(path: str) -> bool:
    """Whether there is nothing to empty, as in /dev/null and /dev/stdout."""
    return Path(path).exists() and not Path(path).is_file()


def _reopen(handler: logging.FileHandler) -> None:
    handler.acquire()
    try:
        stream = handler.stream
        if stream is not None:
            # A handler without a stream opens its file at the next line, also if that is not possible now.
            handler.stream = None
            stream.close()
            mode, handler.mode = handler.mode, _KEEPS.get(handler.mode[:1], handler.mode[:1]) + handler.mode[1:]
            try:
                handler.stream = handler._open()  # noqa: SLF001 - documented as the hook that opens the file
            finally:
                handler.mode = mode
    finally:
        handler.release()
