"""Where the lines of a request log go: to `logging`, or straight to a file."""

import logging
from typing import Final

from waitressd.kinds import octal_mode, path, text
from waitressd.requestlog.filesink import PERMISSIONS, STANDARD_OUTPUT, FileSink
from waitressd.requestlog.options import DEFAULT_LOGGER, Options

log: Final = logging.getLogger("waitressd.request_log")


class LoggerSink:
    """A logger, at level INFO: handlers, files and rotation are those of the logging configuration."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    lost_count: Final = 0
    """What handlers lose, they do not tell."""

    @property
    def is_on(self) -> bool:
        """Whether the logger lets INFO through."""
        return self._logger.isEnabledFor(logging.INFO)

    def write(self, line: str) -> None:
        """Log the line; without arguments, so that a '%' in it means nothing."""
        self._logger.info(line)

    def start(self, _server: object) -> None:
        """Warn if no line would be seen."""
        if not self.is_on:
            log.warning(
                "The request log writes to the logger %s, which does not let INFO through; give that logger a handler "
                "and level = INFO, or write path = FILE into the section of the request log",
                self._logger.name,
            )

    def reopen(self) -> None:
        """Nothing: the server reopens the files of all logging handlers."""

    def close(self) -> None:
        """Nothing: handlers belong to the logging configuration."""


Sink = FileSink | LoggerSink
"""Takes finished lines. Any thread, several at once."""


def build_sink(options: Options) -> Sink:
    """Make the sink that the options `path`, `mode` and `logger` describe."""
    target = options.take("path", path("the path of a file", STANDARD_OUTPUT), "")
    mode = options.take("mode", octal_mode(), PERMISSIONS)
    logger = options.take("logger", text(), "")
    if target and logger:
        options.complain("path", "a line goes to a file or to a logger; keep path or logger")
    if target and not logger:
        return FileSink(target, mode)
    return LoggerSink(logger or DEFAULT_LOGGER)
