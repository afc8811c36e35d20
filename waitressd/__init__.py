"""waitressd: a production WSGI server in pure Python.

The public names. They are looked up at first use, so that `waitressd.http` alone (a parser without sockets) can be
imported without the server, and so that `import waitressd` costs nothing in a program that only asks for the version.
"""

from waitressd.firstuse import names_at_first_use
from waitressd.version import __version__

TYPE_CHECKING = False  # as type checkers know it: see waitressd.entry, before which this is imported
if TYPE_CHECKING:
    from waitressd.config.adjustments import Adjustments
    from waitressd.config.errors import ConfigError
    from waitressd.http.errors import RequestTimeout
    from waitressd.place import worker_number
    from waitressd.server import create_server
    from waitressd.serving import serve

__all__ = ["Adjustments", "ConfigError", "RequestTimeout", "__version__", "create_server", "serve", "worker_number"]

_HOMES = {
    "__version__": "waitressd.version",
    "Adjustments": "waitressd.config.adjustments",
    "ConfigError": "waitressd.config.errors",
    "RequestTimeout": "waitressd.http.errors",
    "create_server": "waitressd.server",
    "serve": "waitressd.serving",
    "worker_number": "waitressd.place",
}

__getattr__, __dir__ = names_at_first_use(__name__, _HOMES)
