"""Lines for the operator, written by a thread of their own.

A handler of `logging` may hang for ever: standard error can be a full pipe, a log server can be gone, a lock can be
held by a thread that hangs itself. So whoever keeps a deadline (the watcher, the dispatcher, a signal handler, the end
of the process) only leaves a line here: that appends to a deque, releases a lock, and never waits. While no server
runs, there is no such thread, and a line is written at once by whoever says it.

Knows `logging`; decides nothing about what is said.
"""

import contextlib
import logging
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from types import FrameType

PENDING_LINES: Final = 1000  # lines that wait for a log that does not take them; what comes then is dropped and counted
FLUSH_SECONDS: Final = 0.5  # what the end waits for lines that are still to be written

# As `sys.exc_info` returns it, or the exception alone.
ErrorInfo = tuple[Any, Any, Any] | BaseException | None

# Where a line is passed on and not said: the record names the caller's module and line.
_PASSING: Final = ("waitressd.operatorlog", "waitressd.net.logs", "waitressd.dispatch.reports")


class OperatorLog:
    """The lines of this process on their way to `logging`.

    Any thread may call anything; `say` also in a signal handler. `_lock` guards the thread and the number of users;
    unguarded is the deque, whose `append` and `popleft` are atomic, so that each line is written by exactly one.
    """

    def __init__(self, pending_lines: int = PENDING_LINES) -> None:
        self._pending_lines = pending_lines
        self._reset()

    def _reset(self) -> None:
        """Begin anew, also in a child that inherits neither the thread nor who was about to use a lock."""
        self._jobs: deque[Callable[[], object]] = deque()
        self._bell = threading.Lock()  # held while the thread may sleep; released to wake it
        self._bell.acquire()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._users = 0
        self._drops = count(1)
        self._dropped = 0
        self._dropped_and_said = 0
        self._is_held = False

    def say(
        self, target: logging.Logger, level: int, message: str, *values: object, error: bool | BaseException = False
    ) -> None:
        """Leave a line; `error` adds a traceback, True that of the exception being handled. Never waits for a log.

        The values are put into the message later, by another thread: they must not change.
        """
        if len(self._jobs) >= self._pending_lines:
            self._dropped = next(self._drops)
        else:
            self._jobs.append(Line(target, level, message, values, sys.exc_info() if error is True else error or None))
        self._ring()

    def write(self, text: str) -> None:
        """Leave text for standard error as it is, in its place among the lines. Never waits."""
        self._jobs.append(partial(_write, text))
        self._ring()

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Have lines written by a thread, for as long as a server runs; at the end they are waited for a moment."""
        with self._lock:
            self._users += 1
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="waitressd-log", daemon=True)
                # Without a thread the lines are written all the same; the pool's will hardly start, and say so.
                with contextlib.suppress(RuntimeError):
                    thread.start()
                    self._thread = thread
        try:
            yield
        finally:
            with self._lock:
                self._users = max(0, self._users - 1)
                last, thread_or_none = not self._users, self._thread
            if not last:
                self.flush()
            elif thread_or_none is not None:
                self._ring()
                thread_or_none.join(FLUSH_SECONDS)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Write nothing while the block runs, at whose end logging is set up. The lines wait. One thread at a time."""
        self._is_held = True
        try:
            yield
        finally:
            self._is_held = False
            self._ring()

    def flush(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until what was said so far is written; False when the log does not take it in time."""
        written = threading.Lock()
        written.acquire()
        self._jobs.append(written.release)
        self._ring()
        return written.acquire(timeout=seconds)

    def _ring(self) -> None:
        with contextlib.suppress(RuntimeError):  # rung already
            self._bell.release()
        if self._thread is None:
            self._write_all()

    # -- the thread

    def _work(self) -> None:
        while True:
            self._bell.acquire()
            self._write_all()
            with self._lock:
                if not self._users and not self._jobs:
                    # Who says a line from now on finds no thread and writes it; who has found one has rung before.
                    self._thread = None
                    break
        self._write_all()

    def _write_all(self) -> None:
        if self._is_held:
            return
        with contextlib.suppress(IndexError):
            while True:
                job = self._jobs.popleft()
                with contextlib.suppress(Exception):  # border: handlers of logging are anybody's classes
                    job()
                self._tell_dropped()

    def _tell_dropped(self) -> None:
        dropped = self._dropped
        if len(self._jobs) <= self._pending_lines // 2 and dropped != self._dropped_and_said:
            number, self._dropped_and_said = dropped - self._dropped_and_said, dropped
            text = "%s left out before this one: the log took them too slowly"
            with contextlib.suppress(Exception):  # border: as above
                Line(logging.getLogger("waitressd"), logging.WARNING, text, (counted(number, "line"),))()


def _write(text: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def _caller() -> tuple[str, int, str]:
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - as logging finds its caller
    while frame is not None and frame.f_globals.get("__name__") in _PASSING:
        frame = frame.f_back
    return (frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name) if frame is not None else ("", 0, "")


@dataclass(slots=True)
class Line:
    """One line: what is needed to make a record of it later, as of now. Takes no lock and calls nothing foreign."""

    target: logging.Logger
    level: int
    message: str
    values: tuple[object, ...]
    error: ErrorInfo = None
    time: float = field(default_factory=time.time)
    thread_id: int = field(default_factory=threading.get_ident)
    caller: tuple[str, int, str] = field(default_factory=_caller)

    def __call__(self) -> None:
        """Make the record and give it to the handlers. May wait for ever."""
        target = self.target
        if not target.isEnabledFor(self.level):
            return
        error = self.error
        if isinstance(error, BaseException):
            error = (type(error), error, error.__traceback__)
        path, number, function = self.caller
        record = target.makeRecord(target.name, self.level, path, number, self.message, self.values, error, function)
        record.relativeCreated -= (record.created - self.time) * 1000
        record.created = self.time
        record.msecs = float(int(self.time % 1 * 1000))
        record.thread = self.thread_id
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        record.threadName = names.get(self.thread_id, record.threadName)
        target.handle(record)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, as in "1 line" and "2 lines"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


operator_log: Final = OperatorLog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=operator_log._reset)  # noqa: SLF001 - the child's copy is this module's business
