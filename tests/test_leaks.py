"""The fixture that looks for leaks is itself put to the test: each kind of leak is made, seen, and mended."""

import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.support.leaks import Holdings, wait_for_nothing_left


def complaints_since(before: Holdings, folder: Path) -> str:
    return "\n".join(wait_for_nothing_left(before, folder, seconds=0))


def test_a_thread_left_running_is_named(tmp_path: Path) -> None:
    before = Holdings.now(tmp_path)
    release = threading.Event()
    thread = threading.Thread(target=release.wait, name="the leaky one")
    thread.start()
    try:
        assert "thread 'the leaky one' still runs" in complaints_since(before, tmp_path)
    finally:
        release.set()
        thread.join()
    assert complaints_since(before, tmp_path) == ""


def test_an_open_socket_is_named(tmp_path: Path) -> None:
    before = Holdings.now(tmp_path)
    with socket.socket():
        assert "still open: socket:" in complaints_since(before, tmp_path)
    assert complaints_since(before, tmp_path) == ""


def test_an_anonymous_temporary_file_is_named(tmp_path: Path) -> None:
    before = Holdings.now(tmp_path)
    with tempfile.TemporaryFile():
        assert "(deleted)" in complaints_since(before, tmp_path)
    assert complaints_since(before, tmp_path) == ""


def test_a_temporary_file_is_named(tmp_path: Path) -> None:
    before = Holdings.now(tmp_path)
    (tmp_path / "spool").touch()
    assert f"temporary file left: {tmp_path / 'spool'}" in complaints_since(before, tmp_path)


def test_a_child_process_is_named(tmp_path: Path) -> None:
    before = Holdings.now(tmp_path)
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert f"child process {child.pid} is still there" in complaints_since(before, tmp_path)
    assert complaints_since(before, tmp_path) == ""


def test_temporary_files_go_to_the_watched_folder(temporary_folder: Path) -> None:
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == temporary_folder
