"""Which sink a log gets, and the one that is a logger."""

import logging

import pytest

from waitressd.requestlog.filesink import FileSink
from waitressd.requestlog.options import OptionError, Options
from waitressd.requestlog.sinks import LoggerSink, build_sink


def test_a_logger_is_the_default(caplog: pytest.LogCaptureFixture) -> None:
    options = Options({})
    sink = build_sink(options)
    options.finish()
    assert isinstance(sink, LoggerSink)
    caplog.set_level(logging.INFO, "waitressd.access")
    assert sink.is_on
    sink.start(None)
    sink.write("100 % %s")
    sink.reopen()
    sink.close()
    assert [(line.name, line.levelno, line.getMessage()) for line in caplog.records] == [
        ("waitressd.access", logging.INFO, "100 % %s")
    ]


def test_a_logger_that_lets_nothing_through_is_complained_about(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "shop.access")
    sink = build_sink(Options({"logger": "shop.access"}))
    assert not sink.is_on
    sink.start(None)
    assert "the logger shop.access, which does not let INFO through" in caplog.text


def test_a_path_means_a_file() -> None:
    options = Options({"path": "/var/log/a", "mode": "600"})
    assert isinstance(build_sink(options), FileSink)
    options.finish()


def test_a_path_and_a_logger_are_too_much() -> None:
    options = Options({"path": "a", "logger": "b"})
    build_sink(options)
    with pytest.raises(OptionError, match="keep path or logger"):
        options.finish()
