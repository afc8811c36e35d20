"""What the frontends need once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.frontends import make_certificate
from tests.support.urls import frameworks


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate and its key in one file."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def url_builders() -> Iterator[None]:
    """The frameworks are loaded, and take any host."""
    with frameworks():
        yield
