"""Fixtures for every test: temporary files in a folder of our own, and nobody leaves anything behind."""

import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.leaks import Holdings, wait_for_nothing_left

# Where trustme cannot be installed (see pyproject.toml): these are about certificates throughout.
collect_ignore = (
    []
    if find_spec("trustme")
    else [
        "functional/test_tls_mistakes.py",
        "property/test_x509.py",
        "unit/config/test_tlsadvice.py",
        "unit/config/test_x509.py",
        "unit/test_certificatefiles.py",
        "unit/test_certificates.py",
    ]
)


def pytest_configure() -> None:
    """Undo what a parent like nohup, or a shell in the background, told us to ignore: children would inherit it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder where this process and its children put temporary files while the tests run."""
    folder = tmp_path_factory.mktemp("temporary")
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    tempfile.tempdir = os.environ["TMPDIR"] = str(folder)
    yield folder
    tempfile.tempdir = before[0]
    if before[1] is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before[1]


@pytest.fixture(autouse=True)
def nothing_left_behind(temporary_folder: Path) -> Iterator[None]:
    """Fail a test that leaves a thread, a child process, an open descriptor or a temporary file behind."""
    before = Holdings.now(temporary_folder)
    yield
    complaints = wait_for_nothing_left(before, temporary_folder)
    assert not complaints, "left behind:\n" + "\n".join(complaints)


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    """A file that a logger writes to."""
    path = tmp_path / "app.log"
    logger, handler = logging.getLogger("tests.reopened"), logging.FileHandler(path, encoding="utf-8")
    logger.addHandler(handler)
    try:
        yield path
    finally:
        logger.removeHandler(handler)
        handler.close()
