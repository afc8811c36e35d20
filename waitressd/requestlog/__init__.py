"""The request log: one record for each request, handed to hooks that anybody can write.

What is named here is public and stays compatible within a major version; `docs/request-log.rst` describes it.
"""

from waitressd.requestlog.context import RequestFilter, RequestFormatter, current_request
from waitressd.requestlog.hook import Hook
from waitressd.requestlog.options import OptionError
from waitressd.requestlog.record import RequestRecord

__all__ = ["Hook", "OptionError", "RequestFilter", "RequestFormatter", "RequestRecord", "current_request"]
