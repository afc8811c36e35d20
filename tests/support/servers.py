"""Servers for tests to talk to: one in a thread of this process, or one in a process of its own."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import waitressd
from tests.support.client import Address, Client

ROOT: Final = Path(__file__).parent.parent.parent
START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 30.0

_TCP_URL: Final = re.compile(r"https?://(\[[0-9a-fA-F:]+\]|[\w.\-]+):([0-9]+)")
_UNIX_URL: Final = re.compile(r"unix:(/\S+)")


@dataclass
class RunningServer:
    """A server that runs in a thread of this process."""

    server: Any
    thread: threading.Thread
    failures: list[BaseException]

    @property
    def address(self) -> Address:
        """Where the first listener is."""
        name = self.server.getsockname()
        return name if isinstance(name, str) else (name[0], name[1])

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return int(self.server.getsockname()[1])

    def connect(self, **options: Any) -> Client:
        """Open a connection to the first listener."""
        return Client(self.address, **options)

    def stop(self) -> None:
        """Stop the server as a program would, and wait until its thread has ended."""
        self.server.close()
        self.thread.join(STOP_SECONDS)
        assert not self.thread.is_alive(), "server.run() did not return after close()"


@contextmanager
def running_server(application: Any, **settings: Any) -> Iterator[RunningServer]:
    """Serve `application` on a free loopback port while the block runs."""
    if not settings.keys() & {"listen", "host", "port", "unix_socket", "sockets"}:
        settings["listen"] = "127.0.0.1:0"
    server = waitressd.create_server(application, **settings)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            server.run()
        except BaseException as exc:  # border: whatever ends the server's thread is the test's to see
            failures.append(exc)

    running = RunningServer(server, threading.Thread(target=run, name="server under test"), failures)
    running.thread.start()
    try:
        yield running
    finally:
        running.stop()
        if failures:
            raise failures[0]


class ServerProcess:
    """A server in a process of its own; what it prints is read by one thread and kept."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="output of the server under test")
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def pid(self) -> int:
        """The process that was started."""
        return self.process.pid

    @property
    def output(self) -> str:
        """What was printed so far, to both outputs."""
        with self._changed:
            return "".join(self._lines)

    @property
    def addresses(self) -> list[Address]:
        """Every address that the output names."""
        output = self.output
        tcp: list[Address] = [(host.strip("[]"), int(port)) for host, port in _TCP_URL.findall(output)]
        return [*tcp, *_UNIX_URL.findall(output)]

    @property
    def address(self) -> Address:
        """The first address that the output names."""
        return self.addresses[0]

    def connect(self, **options: Any) -> Client:
        """Open a connection to the first address."""
        return Client(self.address, **options)

    def wait_for_output(self, pattern: str, seconds: float = START_SECONDS) -> "re.Match[str]":
        """Wait until the output has a match for `pattern`; fail if the process ends first."""
        with self._changed:
            found = self._changed.wait_for(lambda: self._ended or re.search(pattern, "".join(self._lines)), seconds)
            match = re.search(pattern, "".join(self._lines))
        assert match, f"{'the process ended' if found else 'waited in vain'} without {pattern!r}:\n{self.output}"
        return match

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        self.process.send_signal(number)

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait for the end of the process and of its output; return the exit status."""
        status = self.process.wait(seconds)
        self._reader.join(seconds)
        return status

    def terminate(self, seconds: float = STOP_SECONDS) -> int:
        """Ask it to stop, wait, and return the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """Take it away, whatever state it is in, and the children that it has left."""
        with contextlib.suppress(ProcessLookupError):  # nobody is left
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self._reader.join(STOP_SECONDS)
        assert not self._reader.is_alive(), "a process that the server has started still holds its output"
        if self.process.stdout is not None:
            self.process.stdout.close()


def start_process(
    arguments: Sequence[str],
    *,
    command: Sequence[str] = (sys.executable, "-m", "waitressd"),
    cwd: Path = ROOT,
    environment: Mapping[str, str] | None = None,
) -> ServerProcess:
    """Start `command` with `arguments`; the tree under test and the tests' own applications can be imported there."""
    return ServerProcess(spawn([*command, *arguments], cwd, environment or {}))


def spawn(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], pass_fds: Sequence[int] = ()
) -> "subprocess.Popen[str]":
    """Start a command whose outputs are one pipe, in a session of its own, so that its children can be found."""
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **environment},
        start_new_session=True,
        pass_fds=pass_fds,
    )


@contextmanager
def server_process(arguments: Sequence[str], **options: Any) -> Iterator[ServerProcess]:
    """Run the `waitressd` command (or another one) until the block ends; ready means that it accepts a connection."""
    server = start_process(arguments, **options)
    try:
        server.wait_for_output(rf"{_TCP_URL.pattern}|{_UNIX_URL.pattern}")
        wait_until_accepting(server.address)
        yield server
    finally:
        server.kill()


def wait_until_accepting(address: Address, seconds: float = START_SECONDS) -> None:
    """Connect until it works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            Client(address).close()
        except (ConnectionRefusedError, FileNotFoundError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    """Return a port that nobody had a moment ago, for servers that cannot be asked which one they took."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
