"""The guard, as the master knows it: a process that ends the workers if the master is killed.

Workers that a template has forked are ended by it, so a guard is started with the first worker that runs the command.
It is a program and no fork: the master has threads then. It takes less memory, too: after a fork of the master, every
page that the master writes to is there twice.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from waitressd.fleet import processes, watched
from waitressd.fleet.link import Keep, Link
from waitressd.net.logs import say

UNGUARDED: Final = "if the master is killed, a worker that hangs may be left behind"

_PROGRAM: Final = Path(watched.__file__)


class Guard:
    """One guard at most: where it cannot be had or has died there is no other. The master's thread."""

    def __init__(self, pid: int = 0, link: Link | None = None, *, is_wanted: bool = True) -> None:
        self.pid = pid  # 0 while there is none
        self._link = link
        self._is_wanted = is_wanted

    def watch(self, pid: int) -> None:
        """Have a child that has not been reaped ended with the master."""
        pidfd = processes.watch_process(pid)
        if pidfd is None:
            return  # not on this system
        if self._is_wanted:
            self._start()
        if self._link is not None:
            self._link.send("watch", [pidfd])
        os.close(pidfd)

    @classmethod
    def resume(cls, fields: Mapping[str, Any]) -> "Guard":
        """Go on with the guard that `carry` has written down. Raises OSError: the descriptor is no socket."""
        link = fields["link"]
        return cls(fields["pid"], link and Link.resume(link), is_wanted=fields["is_wanted"])

    def carry(self, keep: Keep) -> dict[str, Any]:
        """Write it down for another program in this process."""
        link = self._link.carry(keep) if self._link is not None else None
        return {"pid": self.pid, "is_wanted": self._is_wanted, "link": link}

    def on_death(self, death: processes.Death) -> None:
        """Take notice of the end of a child, which may have been the guard."""
        if self.pid and death.pid == self.pid:
            say(logging.WARNING, "the guard (pid %d) died: %s; %s", death.pid, death, UNGUARDED)
            self.pid = 0
            self.close()

    def close(self) -> None:
        """End the guard, if there is one, and reap it: nothing is left to guard. Twice is harmless."""
        if self._link is not None:
            self._link.close()
            self._link = None
        if self.pid:
            processes.end_child(self.pid)
            self.pid = 0

    def _start(self) -> None:
        self._is_wanted = False
        link, theirs = Link.pair()
        try:
            self.pid = processes.spawn_program(_PROGRAM, theirs.fileno())
        except OSError as error:
            say(logging.WARNING, "there is no guard: %s; %s", error, UNGUARDED)
            link.close()
        else:
            self._link = link
        finally:
            theirs.close()
