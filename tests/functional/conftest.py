"""Fixtures of the functional tests."""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.chromium import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Browser]":
    """One browser for all tests that want one; it starts when the first of them does."""
    from tests.support.chromium import running_browser  # most tests go without its packages

    with running_browser(tmp_path_factory.mktemp("browser")) as running:
        yield running
