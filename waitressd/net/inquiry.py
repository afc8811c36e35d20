"""Asking the application before the client sends its body (`Expect: 100-continue`, RFC 9110, 10.1.1).

An application that refuses an upload by its head alone, for who sends it or how large it is, should do so before it is
sent. So it is called when the head is here, and 100 is sent at its first read. What waits then is a thread of its own,
never one of the pool: a worker that runs the task passes it on and gets it back, so that exactly one of the two runs,
and what belongs to the worker belongs to the task. How many may wait is bounded; beyond that the body is asked for
first.
"""

import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final, cast

from waitressd import forks
from waitressd.http.errors import UploadAborted

THREAD_NAME: Final = "waitressd-inquiry"
SHARE_OF_THREADS: Final = 4  # one task in so many may wait for its body


def inquiry_limit(task_limit: int) -> int:
    """Return how many tasks may wait for their bodies at once.

    None where there are few threads: whoever has one alone relies on it that nothing else of the application runs.
    """
    return task_limit // SHARE_OF_THREADS


class Inquiry:
    """A task in a thread of its own, for one request whose body has not been asked for. See the module for threads."""

    __slots__ = (
        "_body",
        "_go_on",
        "_has_begun",
        "_is_abandoned",
        "_on_end",
        "_stopped",
        "_task",
        "is_waiting",
        "thread_id",
    )

    def __init__(self, task: Callable[[BinaryIO], None], on_end: Callable[[], object]) -> None:
        """`task` is called with the file to read the body from; `on_end` once, when no thread is needed any more."""
        self.is_waiting = False  # for the body; steady while no worker is inside `resume`
        self.thread_id = 0  # of the task's thread, once it began
        self._task = task
        self._on_end = on_end
        self._body: BinaryIO | None = None
        self._has_begun = False
        self._is_abandoned = False
        # Both are held while somebody may wait there; releasing one lets exactly the other side run.
        self._go_on = threading.Lock()
        self._go_on.acquire()
        self._stopped = threading.Lock()
        self._stopped.acquire()

    def resume(self, body: BinaryIO | None) -> None:
        """Begin the task, or go on with it; return when it waits for the body, or is done.

        A worker of the pool. Where there is no thread to be had the task begins when its body is here.
        """
        self.is_waiting = False
        if self._has_begun:
            self._body = body
            self._go_on.release()
        elif body is not None:
            self._run_here(body)
            return
        else:
            # What the worker knows of the request, for log lines, the task knows too.
            run = contextvars.copy_context().run
            try:
                threading.Thread(target=run, args=(self._run,), name=THREAD_NAME, daemon=True).start()
            except RuntimeError:
                self.is_waiting = True
                return
            self._has_begun = True
        self._stopped.acquire()

    def _run_here(self, body: BinaryIO) -> None:
        self._has_begun = True
        try:
            self._task(body)
            forks.end_stray()
        finally:
            self._on_end()

    def give_up(self) -> bool:
        """No body will come; True if `abandon` must be called. Holder of the role."""
        self._is_abandoned = True
        if not self._has_begun:
            self._on_end()
        return self.is_waiting and self._has_begun

    def let_go(self) -> None:
        """No body will come in a child that was only forked, and nobody is told. The child's only thread."""
        self._is_abandoned = True

    def abandon(self) -> None:
        """Let a task that waits find out that its client is gone, and end. A worker of the pool."""
        self.resume(None)

    def wait_for_body(self) -> BinaryIO:
        """Pause the task until its body is complete. The task's thread. Raises UploadAborted."""
        if self._body is None and not self._is_abandoned:
            self.is_waiting = True
            self._stopped.release()
            self._go_on.acquire()
        if self._body is None:
            raise UploadAborted("the client did not send the body that it announced")
        return self._body

    @property
    def is_lost(self) -> bool:
        """Whether the body will never come. The task's thread."""
        return self._is_abandoned and self._body is None

    def _run(self) -> None:
        self.thread_id = threading.get_ident()
        try:
            self._task(cast("BinaryIO", AwaitedBody(self)))
            forks.end_stray()
        finally:
            self._on_end()
            self._stopped.release()


class AwaitedBody:
    """A request body that is asked for when somebody uses it. The task's thread."""

    __slots__ = ("_file", "_inquiry", "_is_closed")

    def __init__(self, inquiry: Inquiry) -> None:
        self._inquiry = inquiry
        self._file: BinaryIO | None = None
        self._is_closed = False

    @property
    def is_lost(self) -> bool:
        """Whether it will never come."""
        return self._inquiry.is_lost

    def ask(self) -> None:
        """Have the client send it, and wait until it is here. Raises UploadAborted."""
        self._open()

    def read(self, size: int = -1) -> bytes:
        """As a file does."""
        return self._open().read(size)

    def readline(self, size: int = -1) -> bytes:
        """As a file does."""
        return self._open().readline(size)

    def readlines(self, hint: int = -1) -> list[bytes]:
        """As a file does."""
        return self._open().readlines(hint)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._open())

    def __next__(self) -> bytes:
        return next(self._open())

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a file has
        return getattr(self._open(), name)

    def _open(self) -> BinaryIO:
        if self._is_closed:
            raise ValueError("the request is over, and its body is closed")
        if self._file is None:
            self._file = self._inquiry.wait_for_body()
        return self._file

    def close(self) -> None:
        """Forget the body; whoever made it closes it."""
        self._is_closed = True
