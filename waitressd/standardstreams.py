"""Standard input, output and error that the process was started without (`<&- >&- 2>&-` of a shell, pythonw).

A closed descriptor below 3 is given to the next file or socket that is opened. A listener in the place of standard
error would get what any library writes there, and a child process would get a client's connection as its input.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

MODES: Final = {"stdin": "r", "stdout": "w", "stderr": "w"}
"""Names in `sys`, in the order of their descriptors, and how they are opened."""


def fill_descriptors() -> None:
    """Let the descriptors 0 to 2 be the null device where they are closed; those in use stay as they are. Any thread.

    Without a null device, as in a bare chroot, they stay closed.
    """
    with contextlib.suppress(OSError):
        # The system gives the lowest free number, so the first one above 2 says that none below is free any more.
        while (descriptor := os.open(os.devnull, os.O_RDWR)) < len(MODES):
            os.set_inheritable(descriptor, True)
        os.close(descriptor)


def fill_streams() -> None:
    """Fill the descriptors, and let `sys.stdin`, `sys.stdout` and `sys.stderr` exist. The main thread of the command.

    Their own descriptors may belong to a file that was opened before this, so the streams do not use them.
    """
    fill_descriptors()
    for name, mode in MODES.items():
        if getattr(sys, name) is None:
            with contextlib.suppress(OSError):
                stream = Path(os.devnull).open(mode, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 - it stays
                setattr(sys, name, stream)
