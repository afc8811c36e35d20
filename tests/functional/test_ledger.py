"""The counts of a server that is asked by many at once: exactly what its clients and its request log have seen."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.countedcrowd import check_counts


@pytest.fixture(params=[None, 1e-6])
def switch_interval(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads change places as usual, or as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param or before)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switch_interval")
@pytest.mark.parametrize("threads", [1, 8])
def test_the_counts_are_those_of_the_clients_and_of_the_request_log(threads: int, tmp_path: Path) -> None:
    check_counts(tmp_path, clients=16, rounds=60, threads=threads)
