"""Adapters by which web frameworks tell the server the route of a request; one module for each framework.

A route is the pattern that the application has matched, such as ``/users/{id}``: one of few that the developer wrote,
and never the path that the client sent. The server's metrics and its list of requests name requests by it. Each module
imports its framework and nothing of the server; the server imports none of them.
"""

from typing import Any, Final

KEY: Final = "waitressd.route"
LONGEST: Final = 200  # the server does not take a longer one


def name_route(environ: dict[str, Any], prefix: str, pattern: str) -> None:
    """Say in the environ of a request which route it has: the pattern, with one slash before it, below the prefix.

    The prefix is where the application is mounted, as configured. It is not SCRIPT_NAME, which may be a part of the
    path that a client has chosen. In the thread that serves the request, at any time before the answer ends.
    """
    environ[KEY] = f"{prefix.rstrip('/')}/{pattern.removeprefix('/')}"[:LONGEST]
