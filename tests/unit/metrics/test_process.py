"""What the process uses is what the system says."""

import os
import socket
import sys
import time

import pytest

from waitressd.metrics.process import CpuShare, process_use


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_it_is_what_the_system_says() -> None:
    import resource

    use = process_use()
    assert use.rss_bytes is not None
    assert use.rss_bytes > 5_000_000
    assert use.fd_limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert 0 < use.cpu_seconds <= time.process_time()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_a_descriptor_more_is_one_more() -> None:
    before = process_use().fds
    assert before is not None
    with socket.socket():
        after = process_use().fds
        assert after == before + 1
        assert after <= len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - which counts itself


def test_the_share_of_the_processors_is_that_between_two_looks() -> None:
    cpu = CpuShare()
    shares = [cpu.share]
    for now, used in ((100.0, 7.0), (102.0, 8.0), (102.0, 9.0), (103.0, 9.0)):  # of which one is a look too many
        cpu.look(now, used)
        shares.append(cpu.share)
    assert shares == [None, None, 0.5, 0.5, 0.0]
