"""A fixture for pytest: ``pytest_plugins = ["waitressd.testing.plugin"]`` in ``conftest.py`` makes it known.

It is no entry point: a server that is installed for production must not add itself to every run of pytest there.
"""

import contextlib
from collections.abc import Callable, Iterator

import pytest

from waitressd.testing.server import TestServer, serve


@pytest.fixture
def waitressd_server() -> Iterator[Callable[..., TestServer]]:
    """Return a function that serves an application until the test is over; it takes what `serve` takes."""
    with contextlib.ExitStack() as stack:
        yield lambda application, **settings: stack.enter_context(serve(application, **settings))
