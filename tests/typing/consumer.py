"""Uses every public name with its types. mypy --strict checks it here, and .ci/release with the built wheel.

It is never run: it shows that what a user gets has types, and which.
"""

from collections.abc import Callable, Iterable
from typing import Any

import waitressd
from waitressd.testing import TestServer, serve


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    number: int = waitressd.worker_number()
    return [f"{environ['PATH_INFO']} {number}".encode()]


def embed() -> int | str:
    """Serve until told to stop; say on which port it was."""
    try:
        server = waitressd.create_server(application, listen="127.0.0.1:0", threads=2)
    except waitressd.ConfigError as error:
        problems: list[str] = [problem.text for problem in error.problems]
        raise SystemExit("\n".join(problems)) from error
    server.print_listen("Serving on http://{}:{}")
    threads: int = server.adjustments.threads
    server.run()
    server.close()
    return server.effective_port if threads else waitressd.__version__


def look(settings: waitressd.Adjustments) -> list[str]:
    """Read settings."""
    return [str(address) for address in settings.listen]


def in_a_test() -> str:
    """Serve in a test."""
    with serve(application, threads=1, raise_errors=True) as server:
        typed: TestServer = server
        errors: list[BaseException] = typed.errors
        return typed.url if not errors else ""


def main() -> None:
    """Serve."""
    waitressd.serve(application, listen="127.0.0.1:8080")
