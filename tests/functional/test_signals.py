"""Signals that the application has handlers for, and those that open log files anew."""

import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.servers import ServerProcess, server_process, start_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="no such signals here")

APPLICATION = """
import faulthandler, logging, os, signal, sys, threading, time
from tests.apps.plain import hello as application
from waitressd import serve

mode = os.environ.get("MODE", "")
stop = threading.Event()

def say(number, frame):
    os.write(1, b"application: %s\\n" % signal.Signals(number).name.encode())

def end(number, frame):
    say(number, frame)
    stop.set()
    if mode == "exit": raise SystemExit(3)
    if mode == "hang": time.sleep(60)

for name in os.environ.get("HANDLED", "").split():
    signal.signal(signal.Signals[name], end if name in ("SIGTERM", "SIGINT") else say)
if mode == "faulthandler": faulthandler.register(signal.SIGUSR1, all_threads=False)
if mode == "file": logging.getLogger("own").addHandler(logging.FileHandler("own.log"))
if mode == "waiter": threading.Thread(target=stop.wait).start()
if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    serve(application, listen="127.0.0.1:0", shutdown_timeout=3)
    print("serve has returned", flush=True)
"""


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., ServerProcess]]:
    """Start servers of the application above."""
    (tmp_path / "signalled.py").write_text(APPLICATION, encoding="utf-8")
    with contextlib.ExitStack() as stack:

        def start(handled: str = "", mode: str = "", *options: str) -> ServerProcess:
            arguments = ["--listen=127.0.0.1:0", "--shutdown-timeout=3", *options, "signalled:application"]
            environment = {"HANDLED": handled, "MODE": mode}
            server = stack.enter_context(server_process(arguments, cwd=tmp_path, environment=environment))
            check_serving(server)  # the handlers are installed before the first request
            return server

        yield start


def check_serving(server: ServerProcess) -> None:
    server.wait_for_output("Serving on")
    with server.connect() as client:
        assert client.get("/").status == 200


def test_handlers_of_the_application_are_left_alone(serving: Callable[..., ServerProcess]) -> None:
    server = serving("SIGHUP SIGUSR1 SIGUSR2")
    server.wait_for_output("SIGHUP, SIGUSR1, SIGUSR2: left to the application\n")
    for name in ("SIGHUP", "SIGUSR1", "SIGUSR2"):
        server.signal(signal.Signals[name])
        server.wait_for_output(f"application: {name}\n")
    check_serving(server)
    assert server.terminate(10) == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize(("mode", "status"), [("", 0), ("exit", 3), ("waiter", 0)])
def test_a_handler_of_the_application_is_called_once_when_the_stop_is_over(
    name: str, mode: str, status: int, serving: Callable[..., ServerProcess]
) -> None:
    server = serving("SIGTERM SIGINT", mode)
    server.wait_for_output("SIGTERM, SIGINT: the application's handler is called when the stop is over\n")
    server.signal(signal.Signals[name])
    assert server.wait(10) == status
    assert server.output.count("application: ") == server.output.count(f"application: {name}\n") == 1


def test_a_handler_that_hangs_ends_with_the_time_of_the_stop(serving: Callable[..., ServerProcess]) -> None:
    server = serving("SIGTERM", "hang")
    assert server.terminate(10) == 0
    assert "application: SIGTERM\n" in server.output


def test_a_second_signal_ends_a_handler_that_hangs(serving: Callable[..., ServerProcess]) -> None:
    server = serving("SIGTERM", "hang", "--shutdown-timeout=600")
    server.signal(signal.SIGTERM)
    server.wait_for_output("application: SIGTERM\n")
    assert server.terminate(10) == 0


def test_the_order_is_the_same_from_python(tmp_path: Path) -> None:
    (tmp_path / "signalled.py").write_text(APPLICATION, encoding="utf-8")
    environment = {"HANDLED": "SIGTERM", "PYTHONFAULTHANDLER": ""}
    server = start_process(["-u", "signalled.py"], command=(sys.executable,), cwd=tmp_path, environment=environment)
    try:
        server.wait_for_output("called when the stop is over")
        check_serving(server)
        assert server.terminate(10) == 0
        assert server.output.index("application: SIGTERM") < server.output.index("serve has returned")
    finally:
        server.kill()


def test_without_handlers_nothing_is_said_of_them(serving: Callable[..., ServerProcess]) -> None:
    server = serving()
    assert "application" not in server.output


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere, what C has registered is not known")
def test_the_stacks_of_faulthandler_are_left_alone(serving: Callable[..., ServerProcess]) -> None:
    server = serving("", "faulthandler")

    def has_written() -> bool:
        # Again and again: in a thread that is just being born, faulthandler has nothing to write and writes nothing.
        server.signal(signal.SIGUSR1)
        return wait_until(lambda: "most recent call first" in server.output, 1)

    assert wait_until(has_written), server.output
    check_serving(server)
    assert server.terminate(10) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_files_are_opened_anew(number: signal.Signals, tmp_path: Path, serving: Callable[..., ServerProcess]) -> None:
    server = serving("", "file")
    (tmp_path / "own.log").rename(tmp_path / "old.log")
    server.signal(number)
    assert wait_until((tmp_path / "own.log").exists)
    check_serving(server)
    assert server.terminate(10) == 0


HOLDING = """
import faulthandler, os, resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
if os.environ.get("OWN"): faulthandler.enable(open("own.txt", "w"))

def hold_the_interpreter():
    os.write(1, b"held\\n")
    sum(range(10**12))

def application(environ, start_response):
    if environ["PATH_INFO"] == "/hold": hold_the_interpreter()
    start_response("200 OK", [("Content-Length", "0")])
    return [b""]

if __name__ == "__main__":
    import logging, waitressd
    logging.basicConfig(level=logging.INFO)
    waitressd.serve(application, listen="127.0.0.1:0")
"""
COMMAND = (sys.executable, "-m", "waitressd", "--listen=127.0.0.1:0", "holding:application")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="elsewhere it would be in the way of others")
@pytest.mark.skipif(sys.implementation.name == "pypy", reason="PyPy writes the stack of one thread alone")
@pytest.mark.parametrize("own", ["", "1"])
@pytest.mark.parametrize("command", [COMMAND, (sys.executable, "-u", "holding.py")], ids=["command", "serve"])
def test_an_abort_leaves_the_stacks_of_all_threads(command: tuple[str, ...], own: str, tmp_path: Path) -> None:
    """What the watchdog of a service manager sends is the last that is heard where something holds the interpreter."""
    (tmp_path / "holding.py").write_text(HOLDING, encoding="utf-8")
    environment = {"PYTHONFAULTHANDLER": "", "OWN": own}
    with server_process([], command=command, cwd=tmp_path, environment=environment) as server:
        with server.connect() as client:
            client.send(b"GET /hold HTTP/1.1\r\nHost: a\r\n\r\n")
            server.wait_for_output("held")
            server.signal(signal.SIGABRT)
            assert server.wait(20) == -signal.SIGABRT
        said = (tmp_path / "own.txt").read_text(encoding="utf-8") if own else server.output
        assert "Fatal Python error: Aborted" in said
        assert " in hold_the_interpreter\n" in said
        assert said.count("most recent call first") >= 2  # threads; the others may not have been born by then
