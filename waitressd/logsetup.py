"""How a command sets logging up: from its ini file, or to standard error if there is none.

A value that can be handed to another process, so that the master of a fleet logs as the command would.
"""

import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from waitressd.requestlog.options import DEFAULT_LOGGER

if TYPE_CHECKING:
    from waitressd.config.inisource import IniSource

_logger: Final = logging.getLogger("waitressd")


@dataclass(frozen=True, slots=True)
class LogSetup:
    """What decides about logging besides the file itself."""

    config: str = ""
    """The ini file or plaster URI; empty for none."""
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    level: int = logging.NOTSET
    """The level of the server's own logger, if the command line has said one."""

    def apply(self, source: "IniSource | None" = None) -> None:
        """Configure logging; `source` is the file if it has been read already. The main thread. Raises ConfigError."""
        if self.config:
            (source or self._read()).setup_logging()
        else:
            logging.basicConfig(format="%(asctime)s %(levelname)-5.5s [%(name)s] %(message)s")
            _logger.setLevel(logging.INFO)
            _print_requests()
        if self.level != logging.NOTSET:
            _logger.setLevel(self.level)

    def _read(self) -> "IniSource":
        # PasteDeploy and all that goes with it, for a master that has such a file alone, and answers before it is read.
        from waitressd.config.inisource import IniSource  # noqa: PLC0415 - see above

        return IniSource(self.config, self.variables)


def _print_requests() -> None:
    """Give lines of request logs to standard output as they are: their readers know the format."""
    requests = logging.getLogger(DEFAULT_LOGGER)
    if not requests.handlers:
        requests.addHandler(logging.StreamHandler(sys.stdout))
        requests.propagate = False
