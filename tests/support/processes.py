"""The processes of one session, as /proc shows them: a server with everything that it has started."""

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HAS_PROC: Final = Path("/proc/self/smaps_rollup").exists()

_TICKS: Final = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Member:
    """One process. `cpu_seconds` holds its own time and that of its children which have been waited for."""

    pid: int
    parent: int
    name: str
    state: str
    cpu_seconds: float
    command: str

    @property
    def pss_bytes(self) -> int:
        """Memory, shared pages counted by the share of this process; 0 when it is gone."""
        return self._rollup("Pss:")

    @property
    def private_bytes(self) -> int:
        """Memory that no other process shares; 0 when it is gone."""
        return self._rollup("Private_Clean:", "Private_Dirty:")

    def _rollup(self, *names: str) -> int:
        try:
            lines = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            return 0
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(names))


def session(pid: int) -> list[Member]:
    """Return the processes of the session that `pid` has begun, the oldest first, without those that are dead."""
    found = (_member(folder, pid) for folder in Path("/proc").iterdir() if folder.name.isdigit())
    return sorted((member for member in found if member is not None), key=lambda member: member.pid)


def _member(folder: Path, leader: int) -> Member | None:
    try:
        stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:  # it has just ended
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")  # the name may hold blanks and brackets
    fields = rest.split()
    if int(fields[3]) != leader:
        return None
    seconds = sum(int(field) for field in fields[11:15]) / _TICKS
    return Member(int(folder.name), int(fields[1]), name, fields[0], seconds, command)


def living(pid: int) -> list[Member]:
    """Return the members of a session that are no zombies."""
    return [member for member in session(pid) if member.state not in "ZX"]


def kill_session(pid: int) -> None:
    """Kill what is left of a session, until nothing is."""
    while found := living(pid):
        for member in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        time.sleep(0.01)
