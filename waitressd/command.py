"""How this process was started, as it was before the application changed anything.

Imported before the application is. Knows nothing but the interpreter.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# What a supervisor says to one process alone, and not to those that it starts.
_ONE_PROCESS: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES")

LINK_VARIABLE: Final = "WAITRESSD_LINK"
"""Names the descriptor of a link to the master, in the environment of a process that a master has started."""


@dataclass(frozen=True, slots=True)
class StartCommand:
    """The words of a command, its environment and its folder."""

    words: tuple[str, ...]
    environ: Mapping[str, str]
    folder: str
    ignored: frozenset[int] = frozenset()
    """The signals that this process was told to ignore, as by nohup."""

    def environ_of_child(self) -> dict[str, str]:
        """Return the environment without what was meant for this process alone."""
        return {name: value for name, value in self.environ.items() if name not in _ONE_PROCESS}


def forget_supervisor() -> None:
    """Take out of the environment what a supervisor has said to this process alone. In a child that was forked."""
    for name in _ONE_PROCESS:
        os.environ.pop(name, None)


def _folder() -> str:
    """Return the current folder by the name that the shell knows: a link to a release leads to the next one later."""
    with contextlib.suppress(OSError):  # what the shell has known may be gone
        if os.path.samefile(named := os.environ.get("PWD", ""), "."):  # noqa: PTH121 - a text
            return named
    with contextlib.suppress(OSError):
        return os.getcwd()  # noqa: PTH109 - a text
    return "/"


def _ignored() -> frozenset[int]:
    return frozenset(number for number in signal.valid_signals() if signal.getsignal(number) == signal.SIG_IGN)


started: Final = StartCommand((sys.executable, *sys.orig_argv[1:]), dict(os.environ), _folder(), _ignored())
"""Of this process."""
