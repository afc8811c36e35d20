"""The fixture in a run of pytest of its own."""

import subprocess
import sys
from pathlib import Path
from typing import Final

from waitressd.testing.plugin import waitressd_server

ROOT: Final = Path(__file__).parent.parent.parent.parent

TESTS: Final = """
import threading
import urllib.request
from wsgiref.simple_server import demo_app

def test_two_servers(waitressd_server):
    first, second = waitressd_server(demo_app), waitressd_server(demo_app, threads=1)
    for server in (first, second):
        with urllib.request.urlopen(server.url) as response:
            assert response.read().startswith(b"Hello world!")

def test_they_are_gone():
    assert [thread.name for thread in threading.enumerate() if "waitressd" in thread.name] == []
"""


def test_the_fixture(tmp_path: Path) -> None:
    assert waitressd_server.__name__ == "waitressd_server"
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["waitressd.testing.plugin"]\n', encoding="utf-8")
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", "--rootdir", ".", "."],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""}, capture_output=True, text=True, check=False,
        timeout=50,
    )  # fmt: skip
    assert "2 passed" in done.stdout, done.stdout + done.stderr
