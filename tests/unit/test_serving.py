"""What a Python program calls: with workers, the program itself is the master."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import run_script
from tests.support.servers import ServerProcess, server_process
from tests.support.waiting import wait_until
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not can_adopt(), reason="workers under serve need what a master needs")

PROGRAM = """
import logging, os, signal, sys
import waitressd
logging.basicConfig(level=logging.INFO)
before = signal.getsignal(signal.SIGTERM)
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{waitressd.worker_number()} {os.getpid()} {os.getppid()}".encode()]
waitressd.serve(app, listen="127.0.0.1:0", threads=1, workers=2, shutdown_timeout=10)
print("after", signal.getsignal(signal.SIGTERM) == before, flush=True)
"""


@contextlib.contextmanager
def serving(program: str) -> Iterator[ServerProcess]:
    """Run a program that serves."""
    with server_process([], command=[sys.executable, "-c", program]) as server:
        yield server


def ask(server: ServerProcess) -> list[int]:
    """Return number, pid and parent of the worker that answers."""
    with server.connect() as client:
        return [int(word) for word in client.get("/").body.split()]


def test_the_program_is_the_master_and_goes_on_when_the_workers_have_ended() -> None:
    with serving(PROGRAM) as server:
        number, pid, parent = ask(server)
        assert number in (1, 2)
        assert pid != server.pid
        assert parent == server.pid or wait_until(lambda: ask(server)[2] == server.pid)  # at first one in between
        assert server.terminate() == 0
        assert server.output.endswith("after True\n")
        assert not Path(f"/proc/{pid}").exists()


def test_children_of_the_program_are_left_to_the_program() -> None:
    program = PROGRAM.replace("import waitressd", "import subprocess, threading, waitressd", 1).replace(
        "waitressd.serve(",
        "child = subprocess.Popen(['sh', '-c', 'sleep 0.3; exit 7'])\n"
        "def look(): print('child', child.wait(), flush=True); threading.Event().wait()\n"
        "look = threading.Timer(1, look)\n"
        "look.daemon = True\n"
        "look.start()\n"
        "waitressd.serve(",
        1,
    )
    with serving(program) as server:
        assert wait_until(lambda: "child 7" in server.output)
        # The program cannot be run again, so there is no other way than a fork.
        assert "WARNING:waitressd:workers are forked although the application left the thread" in server.output
        assert server.terminate() == 0


def test_a_worker_that_dies_has_a_successor() -> None:
    with serving(PROGRAM) as server:
        _, pid, _ = ask(server)
        os.kill(pid, signal.SIGKILL)
        server.wait_for_output(rf"pid {pid}\b.*signal 9 \(SIGKILL\)")
        assert wait_until(lambda: ask(server)[1] != pid)
        assert server.terminate() == 0


def test_a_reload_replaces_the_workers() -> None:
    with serving(PROGRAM) as server:
        _, pid, _ = ask(server)
        server.signal(signal.SIGHUP)
        assert wait_until(lambda: not Path(f"/proc/{pid}").exists())
        assert ask(server)[2] == server.pid
        assert server.terminate() == 0


def test_workers_that_never_serve_are_a_failure_of_the_program() -> None:
    program = PROGRAM.replace(
        "waitressd.serve(", "os.register_at_fork(after_in_child=lambda: os._exit(9))\nwaitressd.serve("
    )
    ended = run_script(program)
    assert ended.returncode == 1
    assert "after" not in ended.stdout


def test_another_thread_than_the_main_one_cannot_lead() -> None:
    program = PROGRAM.replace(
        "waitressd.serve(", "import threading\nserve = lambda *a, **k: waitressd.serve(*a, **k)\nrun("
    )
    program = program.replace(
        "before =",
        """
def run(*values, **settings):
    def work():
        try:
            serve(*values, **settings)
        except RuntimeError as error:
            print(error, flush=True)
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
before =""",
    )
    ended = run_script(program)
    assert "worker processes need the main thread" in ended.stdout


def test_an_address_that_is_taken_is_an_error_of_the_call() -> None:
    program = "import socket\nheld = socket.create_server(('127.0.0.1', 0))\n" + PROGRAM.replace(
        '"127.0.0.1:0"', '"127.0.0.1:%d" % held.getsockname()[1]'
    )
    ended = run_script(program)
    assert ended.returncode == 1
    assert "cannot listen on" in ended.stderr
