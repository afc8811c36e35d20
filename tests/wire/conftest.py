"""One server for all wire cases of a process."""

import threading
import time
from collections.abc import Iterator

import pytest

from tests.support.servers import running_server
from tests.wire.stage import PROBE, Stage

THREADS = 2


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    """A server with an application that each case sets anew."""
    application = Stage()
    with running_server(application, threads=THREADS) as server:
        application.server = server
        with server.connect() as client:
            assert client.get(PROBE).body == b"still here"
        wait_for_threads()  # one that starts during a test would look like left behind by it
        yield application


def wait_for_threads() -> None:
    """Wait until all threads of the server run: the first request may be answered before the last one starts."""
    deadline = time.monotonic() + 10
    while all(thread.name != "waitressd-reserve" for thread in threading.enumerate()):  # which starts last
        assert time.monotonic() < deadline
        time.sleep(0.01)
