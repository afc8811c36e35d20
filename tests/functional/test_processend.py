"""What keeps a process from ending after its stop is said, and is left at a deadline with the right status."""

import atexit
import concurrent.futures
import contextlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.apps.plain import hello
from tests.support.client import Client
from tests.support.servers import ROOT, free_port, server_process, start_process, wait_until_accepting
from tests.support.waiting import wait_until

APPLICATION: Final = "tests.functional.test_processend:keeping"
KEPT: Final[list[Any]] = []

# Part of a program: it tells itself to stop as soon as its server listens to signals.
STOPPER: Final = """
def stop():
    while not callable(signal.getsignal(signal.SIGTERM)):
        time.sleep(0.01)
    signal.raise_signal(signal.SIGTERM)
threading.Thread(target=stop).start()
"""


def hang() -> None:
    """Never end."""
    while True:
        time.sleep(60)


class Hanging(logging.Handler):
    """A handler whose last flush hangs."""

    def emit(self, _record: logging.LogRecord) -> None:
        """Take it."""

    def flush(self) -> None:
        """Hang."""
        hang()


def keeping(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Leave something behind that keeps the process."""
    spawn = multiprocessing.get_context("spawn")
    match environ["PATH_INFO"]:
        case "/thread":
            threading.Thread(target=hang, name="worker-a", daemon=False).start()
        case "/executor":
            KEPT.append(concurrent.futures.ThreadPoolExecutor(1, "pool"))
            KEPT[-1].submit(hang)
        case "/child":
            KEPT.append(spawn.Process(target=hang))
            KEPT[-1].start()
            return _say(str(KEPT[-1].pid), start_response)
        case "/atexit":
            atexit.register(hang)
        case "/handler":
            KEPT.append(Hanging())
            logging.getLogger("kept").addHandler(KEPT[-1])
        case _:
            pass
    return hello(environ, start_response)


def _say(text: str, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", str(len(text)))])
    return [text.encode()]


def failing(_environ: dict[str, Any], _start_response: Any) -> Iterable[bytes]:
    """Fill the log."""
    raise RuntimeError("x" * 3000)


def kill_child(pid: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/thread", "thread worker-a"),
        ("/executor", "thread pool_0"),
        ("/child", "child process"),
        ("/atexit", "in hang"),
        ("/handler", "in flush"),
    ],
)
def test_the_process_ends_at_its_deadline_and_says_what_kept_it(path: str, said: str) -> None:
    with server_process(["--listen=127.0.0.1:0", "--shutdown-timeout=0", APPLICATION]) as server:
        with server.connect() as client:
            body = client.get(path).body.decode()
        server.signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        if path == "/child":
            kill_child(body)  # it has the output open, whose end `wait` waits for
        server.wait()
        if path == "/child":
            assert f"waits for child process {body}, 2 s at most" in server.output
    assert "the process ends at its deadline" in server.output
    assert said in server.output


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_process_that_waits(number: signal.Signals) -> None:
    with server_process(["--listen=127.0.0.1:0", "--shutdown-timeout=600", APPLICATION]) as server:
        with server.connect() as client:
            assert client.get("/thread").status == 200
        server.signal(number)
        server.wait_for_output("waits for thread worker-a, 600 s at most")
        time.sleep(0.2)  # the main thread leaves the program
        server.signal(number)
        assert server.wait(20) == 0


def test_what_ends_by_itself_is_no_warning() -> None:
    with server_process(["--listen=127.0.0.1:0", APPLICATION]) as server, server.connect() as client:
        assert client.get("/").status == 200
        assert server.terminate() == 0
    assert " WARN" not in server.output
    assert "waits for" not in server.output


def test_a_program_goes_on_after_its_server() -> None:
    """The bound is that of a process that ends; a program that has more to do is left alone, and so are its signals."""
    program = (
        "import signal, threading, time\n"
        "from tests.apps.plain import hello\n"
        "from waitressd.deploy import server_factory\n"
        f"{STOPPER}"
        "assert server_factory({}, listen='127.0.0.1:0', shutdown_timeout='0')(hello) == 0\n"
        "time.sleep(4)\n"
        "print('went on', flush=True)\n"
        "signal.raise_signal(signal.SIGTERM)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("went on\n", -signal.SIGTERM)


def test_a_server_from_python_leaves_the_process_to_its_owner_and_says_what_lives() -> None:
    program = (
        "import logging, signal, threading, time, waitressd\n"
        "from tests.apps.plain import hello\n"
        "logging.basicConfig(level='INFO')\n"
        "threading.Thread(target=time.sleep, args=(4,), name='worker-a').start()\n"
        f"{STOPPER}"
        "waitressd.serve(hello, listen='127.0.0.1:0', shutdown_timeout=0)\n"
    )
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert time.monotonic() - began >= 4
    assert "the end of the process waits for thread worker-a, until they end" in done.stderr


@pytest.mark.parametrize("signals", [1, 2])
def test_a_full_pipe_keeps_nobody_from_stopping(signals: int) -> None:
    port = free_port()
    argv = [sys.executable, "-m", "waitressd", f"--listen=127.0.0.1:{port}"]
    argv += [
        "--threads=2",
        f"--shutdown-timeout={'600' if signals == 2 else '1'}",
        "tests.functional.test_processend:failing",
    ]
    reader, writer = os.pipe()
    with subprocess.Popen(argv, cwd=ROOT, stdout=writer, stderr=writer) as process:
        os.close(writer)
        try:
            wait_until_accepting(("127.0.0.1", port))
            for _ in range(40):
                with Client(("127.0.0.1", port)) as client:
                    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                    if client.is_silent(0.2):
                        break
            for _ in range(signals):
                process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(reader)


def test_a_full_pipe_keeps_nobody_from_starting() -> None:
    """The line that says where the server serves is the first that nobody takes."""
    port = free_port()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    os.set_blocking(writer, True)
    argv = [sys.executable, "-m", "waitressd", f"--listen=127.0.0.1:{port}", "tests.apps.plain:hello"]
    with subprocess.Popen(argv, cwd=ROOT, stdout=writer, stderr=writer) as process:
        os.close(writer)
        try:
            wait_until_accepting(("127.0.0.1", port))
            with Client(("127.0.0.1", port)) as client:
                assert client.get("/").status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        finally:
            process.kill()
            os.close(reader)


def test_a_stop_while_the_application_is_loaded_is_bounded_too(tmp_path: Path) -> None:
    (tmp_path / "slowly.py").write_text(
        "import pathlib, threading, time\n"
        "threading.Thread(target=time.sleep, args=(600,), name='worker-a').start()\n"
        "pathlib.Path('begun').touch()\n"
        "time.sleep(600)\n",
        encoding="utf-8",
    )
    server = start_process(["--listen=127.0.0.1:0", "--shutdown-timeout=0", "slowly:application"], cwd=tmp_path)
    try:
        assert wait_until((tmp_path / "begun").exists)
        server.signal(signal.SIGTERM)
        assert server.wait(20) == 0
    finally:
        server.kill()
    assert "waits for thread worker-a" in server.output
