"""How many workers `auto` is: the cores that this process may use, and the CPU quota of its control groups.

Reads below a root folder that is handed in, and knows no setting.
"""

import math
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

MOST_WORKERS: Final = 256  # of the setting `workers`

_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Cores:
    """What there is to compute with. Any thread."""

    usable: int
    """The cores that this process may run on."""
    present: int = 0
    """The cores of the machine; 0 if that is not known."""
    quota: float | None = None
    """The cores' worth of time that the narrowest control group grants; None without a limit."""
    can_fork: bool = True

    @property
    def workers(self) -> int:
        """The number of workers that `auto` stands for."""
        if not self.can_fork:
            return 1
        granted = self.usable if self.quota is None else min(self.usable, math.ceil(self.quota))
        return max(1, min(granted, MOST_WORKERS))

    def __str__(self) -> str:
        """Say what `auto` is and how that was found, as in "workers = auto: 3 (4 cores, cgroup quota 2.5)"."""
        of_all = f"{self.usable} of {self.present}" if self.present > self.usable else f"{self.usable}"
        found = f"{of_all} core{'s' * (max(self.usable, self.present) != 1)}"
        if self.quota is not None:
            found += f", cgroup quota {self.quota:.3g}"
        return f"workers = auto: {self.workers} ({found if self.can_fork else 'this system cannot fork'})"


def find_cores(root: Path = Path("/")) -> Cores:
    """Ask the system. `root` is where its folders ``proc`` and ``sys`` are."""
    present = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if sys.platform == "linux" else present
    return Cores(usable, present, cgroup_quota(root), hasattr(os, "fork"))


def cgroup_quota(root: Path) -> float | None:
    """Return the cores' worth of time that this process may use by its control groups; None without a limit.

    A group is limited by those above it as well, so each of them is looked at (cgroups(7); cgroup v1 and v2, also both
    at once).
    """
    quotas = [
        quota
        for folder, top in _folders(root)
        for group in (folder, *folder.parents)
        if group == top or top in group.parents
        if (quota := _quota_v2(group) or _quota_v1(group)) is not None
    ]
    return min(quotas, default=None)


def _folders(root: Path) -> Iterator[tuple[Path, Path]]:
    """Find the folder of this process's group in each hierarchy that limits CPU time, with the top of the hierarchy.

    ``/proc/self/cgroup`` names the group below the root of the hierarchy, and ``/proc/self/mountinfo`` says which part
    of the hierarchy is to be seen where: in a container it may be this group alone.
    """
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers or "cpu" in controllers.split(","):
            paths["cgroup" if controllers else "cgroup2"] = path
    for line in _lines(root / "proc/self/mountinfo"):
        place, _, system = line.partition(" - ")
        fields, kinds = place.split(" "), system.split(" ")
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] not in paths:
            continue
        if kinds[0] == "cgroup" and "cpu" not in kinds[2].split(","):
            continue
        top = root / _unescape(fields[4]).lstrip("/")
        yield top / _below(paths[kinds[0]], _unescape(fields[3])), top


def _below(path: str, seen: str) -> PurePosixPath:
    """Return the way from the part of a hierarchy that is to be seen to a group; to that part if it is not inside."""
    group = PurePosixPath(path)
    # A process outside of the namespace that it looks from has a path with dots.
    if ".." in group.parts or not group.is_relative_to(seen):
        return PurePosixPath()
    return group.relative_to(seen)


def _quota_v2(group: Path) -> float | None:
    limit, _, period = _first_line(group / "cpu.max").partition(" ")
    return _share(limit, period)


def _quota_v1(group: Path) -> float | None:
    return _share(_first_line(group / "cpu.cfs_quota_us"), _first_line(group / "cpu.cfs_period_us"))


def _share(limit: str, period: str) -> float | None:
    """Return microseconds of CPU time in a period as cores; "max" and -1 are no limit."""
    if limit.isdecimal() and period.isdecimal() and int(limit) and int(period):
        return int(limit) / int(period)
    return None


def _first_line(path: Path) -> str:
    return next(_lines(path), "").strip()


def _lines(path: Path) -> Iterator[str]:
    try:
        yield from path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return


def _unescape(path: str) -> str:
    """Undo what the kernel does to blanks in the paths of ``mountinfo`` (proc(5))."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), path)
