"""A start says what is unwise about this configuration in this process."""

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import waitressd
from tests.support.applications import returning
from waitressd.config.adjustments import Adjustments
from waitressd.startadvice import log_start_advice


@pytest.fixture
def emptied(tmp_path: Path) -> Iterator[Path]:
    """A log file that every process empties which opens it."""
    path = tmp_path / "a.log"
    handler = logging.FileHandler(path, mode="w")
    logging.getLogger().addHandler(handler)
    yield path
    logging.getLogger().removeHandler(handler)
    handler.close()


def test_log_files_that_processes_do_not_share(emptied: Path, caplog: pytest.LogCaptureFixture) -> None:
    log_start_advice(Adjustments())
    assert caplog.messages == []
    log_start_advice(Adjustments(workers=2))
    (message,) = caplog.messages
    assert message.startswith("W118")
    assert str(emptied) in message


def test_serve_gives_the_same_advice_as_the_command(emptied: Path, caplog: pytest.LogCaptureFixture) -> None:
    def serve() -> None:
        with pytest.raises(RuntimeError, match="main thread"):  # where worker processes could not be led
            waitressd.serve(returning([]), workers=2, listen="127.0.0.1:0")

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join()
    assert [message.partition(" ")[0] for message in caplog.messages] == ["W118"]
    assert str(emptied) in caplog.text
