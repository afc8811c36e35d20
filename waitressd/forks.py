"""Children that the application forks: they are the application's, and nothing of the server lives on in them.

What belongs to the serving process (handlers of signals, sockets, the poller) is *held* here. In a child each holder
lets go of it before any code of the application runs. The thread that forked has frames of the server below those of
the application; where it comes back to them, by return or by an exception, `end_stray` ends the child.

Knows processes and threads; knows no server. Costs nothing where nobody forks: nothing here is asked on the way of a
request that goes well.
"""

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
from typing import Final, NoReturn, Protocol

# Blocked in the thread that forks until the handlers in the child are the child's own. A signal that came before would
# be taken by a handler of the server, and lost: terminate() right after start() is such a signal.
_BLOCKED: Final = frozenset(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1") if hasattr(signal, name)
)


class Holder(Protocol):
    """Who holds something that a child must not have."""

    def let_go(self) -> None:
        """Let go of it without telling anybody: the parent goes on using it.

        The only thread of the child. Takes no lock, for its owner may be a thread that does not exist here.
        """


class _Process:
    """What this process has learned of its forks. Written by hooks of `os.fork` alone."""

    def __init__(self) -> None:
        self.holders: list[Holder] = []
        self.stray_thread = 0  # the thread that forked, in a child of a process that held anything
        self.masks = threading.local()  # the signals that a thread had blocked before it forks

    def before(self) -> None:
        """Keep signals back until the child is ready for them. The thread that forks."""
        self.masks.former = signal.pthread_sigmask(signal.SIG_BLOCK, _BLOCKED) if self.holders else None

    def after(self) -> None:
        """Let signals through again. The thread that has forked, in both processes."""
        former, self.masks.former = self.masks.former, None
        if former is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, former)

    def after_in_child(self) -> None:
        """Let go of what is the parent's. Raises nothing: the interpreter would drop it."""
        holders, self.holders = self.holders, []
        if holders:
            self.stray_thread = threading.get_ident()
        for holder in reversed(holders):  # the last to come knows what was before it
            try:
                holder.let_go()
            except Exception:  # border: whatever one of them meets, the others let go too
                traceback.print_exc()
        try:
            self.after()
        except BaseException as error:  # border: a handler that raises, for a signal that came during the fork
            leave(error)


_process: Final = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_process.before, after_in_parent=_process.after, after_in_child=_process.after_in_child)


def hold(holder: Holder) -> None:
    """Have children let go of what `holder` has. Any thread."""
    _process.holders.append(holder)


def drop(holder: Holder) -> None:
    """Forget a holder that has nothing left, or that a child has let go of. Any thread; twice is harmless."""
    with contextlib.suppress(ValueError):
        _process.holders.remove(holder)


def welcome_child() -> None:
    """Let this process be the server's own, though it was forked: it has nothing to come back to. Its only thread."""
    _process.stray_thread = 0


def end_stray(error: BaseException | None = None) -> None:
    """End this process if it is a child whose thread has come back from code of the application to the server.

    Where code that is not the server's returns, or has raised `error`, in a thread of the server. Elsewhere, and in
    the process that serves, nothing happens.
    """
    if _process.stray_thread and _process.stray_thread == threading.get_ident():
        leave(error)


def leave(error: BaseException | None) -> NoReturn:
    """End a child as `multiprocessing` does: what it has written goes out, and nothing that its parent registered runs.

    The exit status is that of the interpreter: 0, what `sys.exit` was given, or 1 after a traceback.
    """
    status = 1
    try:
        status = _status(error)
        util = sys.modules.get("multiprocessing.util")
        if util is not None:
            util._run_finalizers()  # noqa: SLF001 - those of this process alone: each knows who registered it
        logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed, or nobody reads it
                stream.flush()
    finally:
        os._exit(status)


def _status(error: BaseException | None) -> int:
    if error is None:
        return 0
    code: object = 1
    if isinstance(error, SystemExit):
        code = error.code
        if isinstance(code, int):
            return code & 0xFF
        if code is None:
            return 0
        if sys.stderr is not None:
            sys.stderr.write(f"{code}\n")
    else:
        traceback.print_exception(error)
    return 1
