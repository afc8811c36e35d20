"""How a process of the fleet ends that was forked out of somebody's program.

Its frames belong to the program that has called the server (pserve, a script), which goes on in the master alone. So a
template or a worker never returns there: it does what the interpreter does at its end, and is gone.
"""

import atexit
import contextlib
import logging
import os
import sys
import threading
from typing import NoReturn


def leave_process(status: int) -> NoReturn:
    """End this process as a program ends: threads, `atexit` hooks, logs, streams. The main thread; never returns."""
    try:
        # What the interpreter calls at its end. There is no public name for it, and no other way to end without going
        # back.
        for end in (vars(threading)["_shutdown"], atexit._run_exitfuncs):  # noqa: SLF001 - see above
            with contextlib.suppress(BaseException):  # border: hooks are anybody's code
                end()
        with contextlib.suppress(BaseException):  # border: handlers of logging are anybody's classes
            logging.shutdown()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError, OSError):  # none, closed, or nobody reads it
                stream.flush()
    finally:
        os._exit(status)
