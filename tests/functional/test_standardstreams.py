"""A server that is started without standard input, output and error works, and no socket takes their place."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client
from tests.support.servers import ROOT, STOP_SECONDS, wait_until_accepting

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="its processes have no descriptors to close")

CLOSINGS: Final = ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-"]

# Each of these is run by `python -c`, with its arguments in sys.argv.
FILL_DESCRIPTORS: Final = """
import sys
from waitressd.standardstreams import fill_descriptors
fill_descriptors()
"""
FILL_STREAMS: Final = """
import sys
from waitressd.standardstreams import fill_streams
fill_streams()
print("out")
print("err \\udc80", file=sys.stderr)
assert sys.stdin.read() == ""
"""
COMMAND: Final = """
import sys
from waitressd.cli import main
sys.exit(main([f"--listen=unix:{sys.argv[1]}", "tests.functional.test_standardstreams:report"]))
"""
FROM_PYTHON: Final = """
import sys
import waitressd
from tests.functional.test_standardstreams import report
waitressd.serve(report, listen=f"unix:{sys.argv[1]}")
"""


def describe(descriptor: int) -> str:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return "closed"
    null = Path(os.devnull).stat()
    if (status.st_dev, status.st_ino) == (null.st_dev, null.st_ino):
        return "null" if os.get_inheritable(descriptor) else "null, not for children"
    return "socket" if stat.S_ISSOCK(status.st_mode) else "other"


def report(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """An application: what the three descriptors are, and whether `wsgi.errors` is a stream."""
    errors = environ["wsgi.errors"]
    errors.write("one line\n")
    errors.writelines(["two", " lines\n"])
    errors.flush()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([describe(descriptor) for descriptor in range(3)]).encode()]


def started(program: str, closing: str, *arguments: str) -> "subprocess.Popen[bytes]":
    """Start a program without some of the standard streams; those that it has are null devices for its children too."""
    line = f'exec "$0" -c "$1" "$2" {closing}'
    return subprocess.Popen(
        ["sh", "-c", line, sys.executable, program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("program", [FILL_DESCRIPTORS, FILL_STREAMS], ids=["descriptors", "streams"])
def test_what_is_closed_becomes_the_null_device(program: str, closing: str, tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program += """
import json, os
from tests.functional.test_standardstreams import describe
with open(sys.argv[1], "w") as file:
    json.dump([describe(descriptor) for descriptor in range(3)], file)
"""
    with started(program, closing, str(seen)) as process:
        assert process.wait(STOP_SECONDS) == 0
    assert json.loads(seen.read_text()) == ["null"] * 3


def test_what_is_open_stays_as_it_is(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as file:
        subprocess.run(
            [sys.executable, "-c", FILL_STREAMS],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            cwd=ROOT,
            check=True,
        )
    assert sorted(out.read_text().splitlines()) == ["err \\udc80", "out"]


@pytest.mark.parametrize("closing", CLOSINGS)
@pytest.mark.parametrize("program", [COMMAND, FROM_PYTHON], ids=["command", "python"])
def test_a_server_without_standard_streams_serves(program: str, closing: str, tmp_path: Path) -> None:
    address = str(tmp_path / "web.sock")
    with started(program, closing, address) as process:
        try:
            wait_until_accepting(address)
            with Client(address) as first, Client(address) as second:
                for client in (first, second, first):
                    assert json.loads(client.get("/").body) == ["null"] * 3
        finally:
            process.terminate()
        assert process.wait(STOP_SECONDS) == 0
