"""A server that has its process to itself sets the allocator; see `waitressd.memory`."""

import platform
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.servers import server_process

ARENA_BYTES = 64 << 20  # of address space that glibc reserves for each arena but the first
OPTIONS = ["--listen=127.0.0.1:0", "--threads=4", "tests.apps.plain:hello"]

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or sys.implementation.name != "cpython", reason="the allocator is not glibc's"
)


def arenas(pid: int) -> int:
    """Count the arenas beside the first: a part that is used, and behind it one that is only reserved."""
    rows = re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (\S+)", Path(f"/proc/{pid}/maps").read_text(), re.MULTILINE)
    parts = [(int(begin, 16), int(end, 16), mode) for begin, end, mode in rows]
    return sum(
        (used, reserved) == ("rw-p", "---p") and between == begin and end - first == ARENA_BYTES
        for (first, between, used), (begin, end, reserved) in pairwise(parts)
    )


@pytest.mark.parametrize(("environment", "fewest", "most"), [({}, 0, 1), ({"MALLOC_ARENA_MAX": "16"}, 2, 15)])
def test_its_threads_share_two_arenas_unless_the_operator_wants_others(
    environment: dict[str, str], fewest: int, most: int
) -> None:
    with server_process(OPTIONS, environment=environment) as server, Client(server.address) as client:
        assert client.get("/").status == 200
        assert fewest <= arenas(server.pid) <= most
