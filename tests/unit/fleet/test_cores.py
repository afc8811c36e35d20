"""What `workers = auto` is: affinity, and the quotas of control groups of both versions, wherever they are mounted."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from waitressd.config.adjustments import SETTINGS
from waitressd.fleet.cores import MOST_WORKERS, Cores, cgroup_quota, find_cores

V2: Final = "35 25 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
V1: Final = "33 32 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:11 - cgroup cgroup rw,cpu,cpuacct"
OTHERS: Final = (
    "22 28 0:21 / /sys rw - sysfs sysfs rw\n34 32 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\nnonsense"
)


@pytest.mark.parametrize(
    ("groups", "mounts", "files", "quota"),
    [
        pytest.param("", "", {}, None, id="no such system"),
        pytest.param("0::/", V2, {"cgroup/cpu.max": "250000 100000"}, "2.5", id="v2, in a container"),
        pytest.param("0::/", V2, {"cgroup/cpu.max": "max 100000"}, None, id="v2, no limit"),
        pytest.param("0::/", V2, {"cgroup/cpu.max": "garbage"}, None, id="v2, unreadable"),
        pytest.param("0::/a/b", V2, {"cgroup/a/b/cpu.max": "50000 100000"}, "0.5", id="v2, the group itself"),
        pytest.param(
            "0::/a/b",
            V2,
            {
                "cgroup/cpu.max": "800000 100000",
                "cgroup/a/cpu.max": "150000 100000",
                "cgroup/a/b/cpu.max": "max 100000",
            },
            "1.5",
            id="v2, the narrowest of those above",
        ),
        pytest.param("0::/a", V2, {"cgroup/b/cpu.max": "50000 100000"}, None, id="v2, another group"),
        pytest.param("0::/../b", V2, {"cgroup/cpu.max": "300000 100000"}, "3", id="v2, outside of the namespace"),
        pytest.param(
            "0::/docker/x/y",
            V2.replace("0:30 /", "0:30 /docker/x"),
            {"cgroup/cpu.max": "400000 100000", "cgroup/y/cpu.max": "200000 100000"},
            "2",
            id="v2, a part of the hierarchy is mounted",
        ),
        pytest.param(
            "4:cpu,cpuacct:/a\n3:cpuset:/z\n0::/",
            V1,
            {"cgroup/cpu,cpuacct/a/cpu.cfs_quota_us": "350000", "cgroup/cpu,cpuacct/a/cpu.cfs_period_us": "100000"},
            "3.5",
            id="v1",
        ),
        pytest.param(
            "4:cpu,cpuacct:/",
            V1,
            {"cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1", "cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000"},
            None,
            id="v1, no limit",
        ),
        pytest.param(
            "4:cpu:/\n0::/a",
            f"{V1}\n{V2.replace('cgroup rw', 'cgroup/unified rw')}",
            {
                "cgroup/cpu,cpuacct/cpu.cfs_quota_us": "300000",
                "cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
                "cgroup/unified/a/cpu.max": "200000 100000",
            },
            "2",
            id="both at once",
        ),
        pytest.param(
            "0::/",
            V2.replace("/sys/fs/cgroup", "/sys/fs/my\\040cgroup"),
            {"my cgroup/cpu.max": "100000 50000"},
            "2",
            id="a blank in the path",
        ),
    ],
)
def test_the_quota_of_control_groups(
    tmp_path: Path, groups: str, mounts: str, files: dict[str, str], quota: str | None
) -> None:
    for name, text in {
        "proc/self/cgroup": groups,
        "proc/self/mountinfo": f"{OTHERS}\n{mounts}",
        **{f"sys/fs/{name}": text for name, text in files.items()},
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="utf-8")
    assert cgroup_quota(tmp_path) == (None if quota is None else float(quota))


def test_a_system_without_these_files_has_no_quota(tmp_path: Path) -> None:
    assert cgroup_quota(tmp_path) is None


@pytest.mark.parametrize(
    ("cores", "said"),
    [
        (Cores(4), "workers = auto: 4 (4 cores)"),
        (Cores(4, 4, 2.5), "workers = auto: 3 (4 cores, cgroup quota 2.5)"),
        (Cores(2, 16, 8.0), "workers = auto: 2 (2 of 16 cores, cgroup quota 8)"),
        (Cores(1, 1), "workers = auto: 1 (1 core)"),
        (Cores(1, 2), "workers = auto: 1 (1 of 2 cores)"),
        (Cores(8, 8, 0.1), "workers = auto: 1 (8 cores, cgroup quota 0.1)"),
        (Cores(8, 8, 1 / 3), "workers = auto: 1 (8 cores, cgroup quota 0.333)"),
        (Cores(1024), "workers = auto: 256 (1024 cores)"),
        (Cores(8, 8, None, can_fork=False), "workers = auto: 1 (this system cannot fork)"),
    ],
)
def test_what_auto_is_and_how_it_was_found(cores: Cores, said: str) -> None:
    assert str(cores) == said
    assert said.startswith(f"workers = auto: {cores.workers} ")


def test_auto_is_a_number_that_the_setting_takes() -> None:
    kind = SETTINGS["workers"].kind
    assert kind.parse(MOST_WORKERS) == Cores(MOST_WORKERS + 1).workers
    with pytest.raises(ValueError, match=r"^$"):
        kind.parse(MOST_WORKERS + 1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to cores")
def test_a_process_that_is_bound_to_one_core() -> None:
    code = (
        "import os; from waitressd.fleet.cores import find_cores\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(find_cores().workers)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "1\n"


def test_this_machine() -> None:
    assert 1 <= find_cores().workers <= (os.cpu_count() or 1)
