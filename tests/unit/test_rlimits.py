"""How many clients the limit on descriptors allows."""

import sys

import pytest

from waitressd.rlimits import RESERVED_DESCRIPTORS, WANTED_DESCRIPTORS, connection_bound, raise_descriptor_limit

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")


def test_the_setting_decides() -> None:
    assert connection_bound(5) == 5


@pytest.mark.parametrize("soft", [64, 1024])
def test_without_a_setting_the_descriptors_decide_and_some_are_kept_back(soft: int) -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, before[1]))
    try:
        assert 1 <= connection_bound(0) <= soft - RESERVED_DESCRIPTORS
        raise_descriptor_limit()
        raised, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert hard == before[1]
        assert raised == (WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
