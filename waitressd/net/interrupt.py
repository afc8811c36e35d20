"""RequestTimeout, raised in the thread of a request from outside: exactly once, and never anywhere else.

Such an exception comes at any bytecode of the other thread, so it must not be sent when that thread has left the code
that it is meant for. Who is first is decided by a `pop`, which is atomic. The task puts down its permission as the
first statement of the part that is guarded. Whoever interrupts takes it, and only then sends the exception. When the
task comes to the end of that part, it takes its permission back. If it is gone, the task waits until the exception was
sent, and then takes back what has not arrived yet. While it does so the exception may still come, but not a second
time: so it is enough that all of this is inside the guarded part, and that it is done once more after an exception.

CPython alone can do that. Whether an interpreter can is asked before a server starts (`TROUBLE`).
"""

import sys
import threading
import time
from importlib.util import find_spec
from typing import Final

from waitressd.http.errors import RequestTimeout


def _trouble() -> str:
    if sys.implementation.name != "cpython":
        return f"only CPython can raise an exception in another thread, and this is {sys.implementation.name}"
    return "" if find_spec("_ctypes") is not None else "this Python was built without ctypes"


TROUBLE: Final = _trouble()
"""Why nothing can be interrupted here; "" where it can."""

_PAUSE_SECONDS: Final = 0.0001


class Interruption:
    """The permission to interrupt the requests of one exchange, one after the other."""

    __slots__ = ("_permission", "_was_sent")

    def __init__(self) -> None:
        self._permission: list[int] = []  # the thread that may be interrupted
        self._was_sent = False

    def allow(self) -> None:
        """From here on this thread may be interrupted. The task, as the first statement of what is guarded."""
        self._permission.append(threading.get_ident())

    def forbid(self) -> None:
        """Be interrupted no more. The task, as the last statement of what is guarded, and once more if that fails."""
        self.pause()
        self._was_sent = False

    def pause(self) -> bool:
        """Let nothing arrive until `allow` is called again; False if that is not to be done. The task.

        Where the server itself holds a lock that others wait for, or has something to close.
        """
        try:
            self._permission.pop()
        except IndexError:
            while not self._was_sent:  # somebody is just doing it
                time.sleep(_PAUSE_SECONDS)
            _send(threading.get_ident(), None)
            return False
        return True

    def send(self) -> bool:
        """Interrupt the task; False when it may not be any more, or was already. Any thread."""
        try:
            thread_id = self._permission.pop()
        except IndexError:
            return False
        _send(thread_id, RequestTimeout)
        self._was_sent = True
        return True


def _send(thread_id: int, exception: type[BaseException] | None) -> None:
    """Have a thread raise an exception at its next bytecode; None takes back what has not been raised yet."""
    import ctypes  # noqa: PLC0415 - see TROUBLE

    value = None if exception is None else ctypes.py_object(exception)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), value)
