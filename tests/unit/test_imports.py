"""What a program imports before it does what it is for: everybody who waits for it waits for that as well."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]

_LARGE: Final = frozenset({
    "asyncio", "concurrent.futures", "configparser", "ctypes", "difflib", "email", "hashlib", "hmac", "http.client",
    "importlib.metadata", "importlib.resources", "logging.config", "paste", "plaster", "random", "shutil", "ssl",
    "tempfile", "unittest", "urllib.request", "xml", "zipfile",
})  # fmt: skip
_SERVER: Final = frozenset(
    f"waitressd.{name}"
    for name in (
        *("dispatch", "server", "wiring", "deploy", "cli", "applications", "requestlog.record", "net.channel"),
        *("net.exchange", "net.outbuf", "wsgi.task", "wsgi.response", "config.inisource", "tools", "convert"),
    )
)
_QUESTIONS: Final = frozenset(
    f"waitressd.insight.{name}" for name in ("inquiry", "merging", "findings", "profile", "samples", "inspector")
)


def imported_with(statement: str) -> set[str]:
    """Return the modules that a new interpreter has after a statement, besides those that it begins with."""
    code = f"import sys; before = set(sys.modules)\n{statement}\nprint(*sorted(set(sys.modules) - before))"
    run = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(run.stdout.split())


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        # From the end of one master to the first answer of the next, nobody is told how the fleet is.
        (
            "import waitressd.fleet.handover, waitressd.fleet.master, waitressd.fleet.insight, waitressd.metrics.fleet",
            _LARGE | _SERVER | _QUESTIONS,
        ),
    ],
)  # fmt: skip
def test_what_is_not_needed_to_begin_is_not_there(statement: str, unwanted: frozenset[str]) -> None:
    assert imported_with(statement) & unwanted == set()
