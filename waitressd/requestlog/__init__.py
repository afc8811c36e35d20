"""The request log: one record for each request, handed to hooks, which may be plugins.

What is named here is public and stays compatible within a major version; `docs/request-log.rst` describes it. The
names are looked up at first use: a master looks after the files of a log without its records.
"""

from typing import TYPE_CHECKING, Final

from waitressd.firstuse import names_at_first_use

if TYPE_CHECKING:
    from waitressd.requestlog.context import RequestFilter, RequestFormatter, current_request
    from waitressd.requestlog.hook import Hook
    from waitressd.requestlog.options import OptionError
    from waitressd.requestlog.record import RequestRecord

__all__ = ["Hook", "OptionError", "RequestFilter", "RequestFormatter", "RequestRecord", "current_request"]

_HOMES: Final = {
    "Hook": "waitressd.requestlog.hook",
    "OptionError": "waitressd.requestlog.options",
    "RequestFilter": "waitressd.requestlog.context",
    "RequestFormatter": "waitressd.requestlog.context",
    "RequestRecord": "waitressd.requestlog.record",
    "current_request": "waitressd.requestlog.context",
}

__getattr__, __dir__ = names_at_first_use(__name__, _HOMES)
