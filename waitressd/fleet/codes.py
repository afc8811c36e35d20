"""Processes that load the application by running the command, and what they say while they do."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

from waitressd.command import LINK_VARIABLE, StartCommand
from waitressd.fleet import processes
from waitressd.fleet.link import Keep, Link
from waitressd.operatorlog import operator_log

_KEPT_BYTES: Final = 65536  # of what a process says while it loads
_READ_BYTES: Final = 65536
_WARNING: Final = re.compile(r"\S.*:\d+: \w*Warning: ")  # the line of the source follows it, indented
_TRACEBACK: Final = "Traceback (most recent call last):"


@dataclass(slots=True)
class Loading:
    """What a process has written to standard error since it was started, and has not been passed on."""

    pipe: int  # -1 when nobody listens any more
    said: bytearray = field(default_factory=bytearray)

    @classmethod
    def resume(cls, fields: Mapping[str, Any]) -> "Loading":
        """Go on with what `carry` has written down. Raises OSError: the descriptor is not open."""
        os.set_inheritable(fields["pipe"], False)
        return cls(fields["pipe"], bytearray(fields["said"].encode("latin-1")))

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write it down for another program in this process. The pipe is open."""
        return {"pipe": keep(self.pipe), "said": self.said.decode("latin-1")}

    def fileno(self) -> int:
        """Return the descriptor, for a poller."""
        return self.pipe

    def read(self) -> bool:
        """Take what has come; False at the end. Never waits."""
        try:
            data = os.read(self.pipe, _READ_BYTES)
        except BlockingIOError:
            return True
        except OSError:  # closed
            return False
        self.said += data
        del self.said[:-_KEPT_BYTES]
        return bool(data)

    def read_all(self) -> None:
        """Take all that has come."""
        before = -1
        while len(self.said) != before and self.read():
            before = len(self.said)

    def last_line(self) -> str:
        """Return the line that says most: the one that names the error of the last traceback, or the last one of all.

        Where there is a traceback, what follows it was said by hooks and by who has given up. Python's warnings say
        nothing of an end.
        """
        lines = self.said.decode("utf-8", "backslashreplace").split("\n")
        last = max((at for at, line in enumerate(lines) if line.startswith(_TRACEBACK)), default=None)
        named = [line for line in lines[last + 1 :] if line[:1].strip()] if last is not None else []
        said = [
            line
            for before, line in pairwise(("", *lines))
            if not _WARNING.match(line) and not (_WARNING.match(before) and line[:1].isspace())
        ]
        return next((line.strip() for line in (*named, *reversed(said)) if line.strip()), "")

    def pass_on(self) -> None:
        """Have everything written to our own standard error."""
        if self.said:
            operator_log.write(self.said.decode("utf-8", "backslashreplace"))
            self.said.clear()

    def close(self) -> None:
        """Listen no more. Twice is harmless."""
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


def run_command(command: StartCommand) -> tuple[int, Link, Loading]:
    """Run the command as a process of the fleet; return its pid, our end of its link, and what it says.

    Raises OSError: the system has no more processes, or the interpreter is gone.
    """
    ours, theirs = Link.pair()
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    environ = command.environ_of_child() | {LINK_VARIABLE: str(theirs.fileno())}
    try:
        pid = processes.spawn(command, environ, theirs.fileno(), writing)
    except OSError:
        ours.close()
        os.close(reading)
        raise
    finally:
        theirs.close()
        os.close(writing)
    ours.socket.setblocking(False)
    return pid, ours, Loading(reading)


def inherited_link() -> Link | None:
    """Return this process's end of a link to a master, if a master has started it; once. Raises OSError."""
    number = os.environ.pop(LINK_VARIABLE, "")
    return Link.from_descriptor(int(number)) if number.isdecimal() else None
