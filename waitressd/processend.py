"""The end of a process that has served: what still keeps it is said, and it is left at a deadline.

When the server has stopped, Python waits for threads that are no daemons, for executors, for children of
`multiprocessing`, for `atexit` hooks and for handlers of `logging`, each without a bound. A thread beside the main one
keeps the deadline. It calls nothing that may hang itself: what must be flushed is flushed by threads of their own,
which get a moment.
"""

import atexit
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final

from waitressd.net import stacks
from waitressd.operatorlog import operator_log

GRACE_SECONDS: Final = 2.0  # what follows the drain has at least, also with shutdown_timeout = 0
HELPERS: Final = 4  # as long as one of them does not hang, what can be flushed is flushed
FLUSH_SECONDS: Final = 0.5  # for what is flushed when the deadline has passed
OWNER_SECONDS: Final = 1.0  # a program that still runs so long after its server is not about to end
TICK_SECONDS: Final = 0.05
NEVER: Final = float("inf")

logger: Final = logging.getLogger("waitressd")


class ProcessEnd:
    """The bound of one process's end. The main thread; `begin` and `bounded` do nothing in any other.

    A program may go on after its server, and then this lets it: only a main thread that has left the program is waited
    for. Where the caller leaves the process itself, there is no such program (`has_program`).
    `drain_end` says by when the stop of the server should be over (monotonic seconds), `patience_seconds` how long
    the process may take where there was no stop.
    """

    def __init__(self, drain_end: Callable[[], float], patience_seconds: float, *, has_program: bool = True) -> None:
        self.status = 0
        """The exit status with which the process is left."""
        self._drain_end = drain_end
        self._patience_seconds = patience_seconds
        # It is there as long as the program runs.
        self._program = _outermost(sys._getframe()) if has_program else None  # noqa: SLF001 - no other way to find it
        self._pid = os.getpid()
        self._returned_at = NEVER
        self._hurried = False  # by a further signal
        self._thread: threading.Thread | None = None
        self._helpers = _Helpers()
        self._former: dict[int, Any] = {}

    @contextlib.contextmanager
    def bounded(self) -> Iterator[None]:
        """Bound what follows the block, which serves; say once what still lives. Twice, one in the other, is once."""
        try:
            yield
        except BaseException as error:  # border: whatever ends the program, its status is that of the process
            self.status = _status(error)
            raise
        finally:
            if self._returned_at == NEVER and threading.current_thread() is threading.main_thread():
                self._return()

    def begin(self) -> None:
        """The stop has begun: from now on it is watched, from outside the main thread."""
        if self._thread is None and threading.current_thread() is threading.main_thread():
            self._thread = threading.Thread(target=self._watch, name="waitressd-end", daemon=True)
            _ends.add(self)
            with contextlib.suppress(RuntimeError):  # the system gives no more threads; the end has no bound then
                self._thread.start()
                self._helpers.start()

    def flush(self) -> None:
        """Write out what is buffered before Python does it without a bound, and without threads. The main thread."""
        if self._pid != os.getpid():
            return
        left = self._drain_end() - time.monotonic()
        jobs: list[Callable[[], object]] = [_flush_output, partial(operator_log.flush, threading.TIMEOUT_MAX)]
        if not self._helpers.run(jobs, max(2 * FLUSH_SECONDS, min(GRACE_SECONDS, left))):
            os._exit(self.status)
        # Soon no thread of Python's runs any more, and destructors are called. The last resort exits with status 1, and
        # so it comes after our thread, which keeps the deadline for what hooks and handlers do until then.
        seconds = max(0.0, self._deadline() - time.monotonic()) + GRACE_SECONDS
        with contextlib.suppress(Exception):  # border: standard error may be anything
            faulthandler.dump_traceback_later(seconds, exit=True)

    def _return(self) -> None:
        self._returned_at = time.monotonic()
        if self.status and self._drain_end() == NEVER and not what_lives():
            return  # it failed, and was not told to stop: its end is that of any other program
        self.begin()
        for number in (signal.SIGTERM, signal.SIGINT):
            former = signal.getsignal(number)
            if former is not signal.SIG_IGN:
                self._former[number] = former
                signal.signal(number, self._on_signal)
        say_what_lives(max(0.0, self._deadline() - time.monotonic()))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """End at once where the process is ending; where its program goes on, the signal is the program's."""
        if frame is not None and _outermost(frame) is self._program:
            former = self._former[number]
            signal.signal(number, signal.SIG_DFL if former is None else former)
            signal.raise_signal(number)
        elif self._thread is not None and self._thread.is_alive():
            self._hurried = True
        else:
            os._exit(self.status)

    # -- the thread

    def _watch(self) -> None:
        while time.monotonic() < self._deadline():
            time.sleep(TICK_SECONDS)
            if time.monotonic() > self._returned_at + OWNER_SECONDS and self._goes_on():
                break
        if self._returned_at != NEVER and self._goes_on():
            _ends.discard(self)
            self._helpers.dismiss()
        else:
            self._leave()

    def _deadline(self) -> float:
        if self._hurried:
            return 0.0
        if self._returned_at == NEVER:
            return self._drain_end() + GRACE_SECONDS
        end = min(self._drain_end(), self._returned_at + self._patience_seconds)
        return max(end, self._returned_at + GRACE_SECONDS)

    def _goes_on(self) -> bool:
        """Whether the main thread is still in the program that it was in when the server began."""
        frame = _main_frame()
        return frame is not None and _outermost(frame) is self._program

    def _leave(self) -> None:
        flushes = [handler.flush for handler in handlers_of_logging()]
        self._helpers.run([self._say_the_last, _flush_output, *flushes], 2 * FLUSH_SECONDS)
        os._exit(self.status)

    def _say_the_last(self) -> None:
        if not self._hurried:
            text = "the process ends at its deadline; it still waited%s, and the main thread was here:\n%s"
            living = what_lives()
            for_whom = f" for {living}" if living else ""
            operator_log.say(
                logger, logging.WARNING, text, for_whom, stacks.take_one(threading.main_thread().ident or 0)
            )
        operator_log.flush(FLUSH_SECONDS)
        end_daemon_children()


def say_what_lives(seconds: float | None = None) -> None:
    """Say what the end of the process waits for: until it ends, or for so many seconds at most. The main thread."""
    living = what_lives()
    if living:
        until = "until they end" if seconds is None else f"{seconds:.0f} s at most"
        operator_log.say(logger, logging.INFO, "the end of the process waits for %s, %s", living, until)


def what_lives() -> str:
    """Name the threads and children that Python waits for when the main thread ends; "" where there are none."""
    main, executors = threading.main_thread(), _executor_threads()
    threads = [
        thread.name
        for thread in threading.enumerate()
        if thread is not main and (not thread.daemon or thread in executors)
    ]
    children = [str(child.pid) for child in _children()]
    found = []
    if threads:
        found.append(f"{'thread' if len(threads) == 1 else 'threads'} {', '.join(threads)}")
    if children:
        found.append(f"{'child process' if len(children) == 1 else 'child processes'} {', '.join(children)}")
    return " and ".join(found)


def end_daemon_children() -> None:
    """Do what `multiprocessing` promises for its daemons at the end, and does not get to."""
    daemons = [child for child in _children() if child.daemon]
    for child in daemons:
        child.terminate()
    for child in daemons:
        child.join(FLUSH_SECONDS / len(daemons))
        child.kill()


def handlers_of_logging() -> set[logging.Handler]:
    """Return the handlers of all loggers. Any thread."""
    loggers = [logging.getLogger(), *map(logging.getLogger, list(logging.root.manager.loggerDict))]
    return {handler for each in loggers for handler in each.handlers}


def _executor_threads() -> set[threading.Thread]:
    """Return the threads of executors, which are waited for although those that a request has started are daemons."""
    module = sys.modules.get("concurrent.futures.thread")
    return set(getattr(module, "_threads_queues", ()))


def _children() -> list[Any]:
    multiprocessing: Any = sys.modules.get("multiprocessing")  # it is never imported for this: then, there are none
    return list(multiprocessing.active_children()) if multiprocessing is not None else []


def _flush_output() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with contextlib.suppress(Exception):  # border: what the application put there
                stream.flush()


class _Helpers:
    """Threads that do what may hang. They are started when the stop begins: CPython 3.12 starts none at the end."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue[Callable[[], object] | None] = SimpleQueue()

    def start(self) -> None:
        """Start them. Raises RuntimeError: the system gives no more threads."""
        for number in range(HELPERS):
            threading.Thread(target=self._work, name=f"waitressd-end-{number}", daemon=True).start()

    def run(self, jobs: Sequence[Callable[[], object]], seconds: float) -> bool:
        """Have all jobs done, together within so many seconds; False when one has not ended by then."""
        end = time.monotonic() + seconds
        ended = [threading.Lock() for _ in jobs]
        for job, bell in zip(jobs, ended, strict=True):
            bell.acquire()
            self._jobs.put(partial(_do, job, bell))
        return all(bell.acquire(timeout=max(0.0, end - time.monotonic())) for bell in ended)

    def dismiss(self) -> None:
        """Let the threads end."""
        for _ in range(HELPERS):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()


def _do(job: Callable[[], object], bell: threading.Lock) -> None:
    with contextlib.suppress(BaseException):  # border: handlers and streams are anybody's classes
        job()
    bell.release()


def _main_frame() -> FrameType | None:
    ident = threading.main_thread().ident
    return sys._current_frames().get(ident or 0)  # noqa: SLF001 - the documented way to see another thread's stack


def _outermost(frame: FrameType) -> FrameType:
    while frame.f_back is not None:
        frame = frame.f_back
    return frame


def _status(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 1


def _flush_before_teardown() -> None:
    for end in list(_ends):
        end.flush()


_ends: Final[set[ProcessEnd]] = set()
# What is registered first is called last: when the hooks of the application, which is imported later, are through.
atexit.register(_flush_before_teardown)
