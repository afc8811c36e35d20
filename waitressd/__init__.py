"""waitressd: a production WSGI server in pure Python.

The public names. They are looked up at first use, so that `waitressd.http` alone (a parser without sockets) can be
imported without the server, and so that `import waitressd` costs nothing in a program that only asks for the version.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from waitressd.version import __version__

if TYPE_CHECKING:
    from waitressd.config.adjustments import Adjustments
    from waitressd.config.errors import ConfigError
    from waitressd.http.errors import RequestTimeout
    from waitressd.place import worker_number
    from waitressd.server import create_server
    from waitressd.serving import serve

__all__ = ["Adjustments", "ConfigError", "RequestTimeout", "__version__", "create_server", "serve", "worker_number"]

_HOMES: Final = {
    "Adjustments": "waitressd.config.adjustments",
    "ConfigError": "waitressd.config.errors",
    "RequestTimeout": "waitressd.http.errors",
    "create_server": "waitressd.server",
    "serve": "waitressd.serving",
    "worker_number": "waitressd.place",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the names have different types; checkers see the imports above
    """Look a public name up where it lives; the module system remembers it from then on."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'waitressd' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    """List the public names, also those not yet looked up."""
    return sorted(__all__)
