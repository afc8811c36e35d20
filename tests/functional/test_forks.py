"""Children that the application forks, wherever it does so: they end, and the server does not notice them."""

import concurrent.futures
import contextlib
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Client, Response
from tests.support.servers import ServerProcess, server_process, start_process
from tests.support.waiting import wait_until

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

HERE: Final = "tests.functional.test_forks"


# -- applications, which run in the servers' processes

FORKED: Final[list[int]] = []  # children that nobody has waited for
DONE: Final = threading.Event()


def leave(how: str) -> bytes:
    """Fork, and answer something; the child leaves as `how` says."""
    pid = os.fork()
    if pid:
        FORKED.append(pid)
    elif how.startswith("exit"):
        sys.exit({"exit": None, "exit7": 7, "exit-words": "the words of sys.exit"}[how])
    elif how == "raise":
        raise ValueError("raised in the child")
    elif how == "again":
        return leave("exit7")
    else:
        sys.stdout.write("from the child")  # without a line end, so it waits for a flush
    return b"answered"


class Closing(list[bytes]):
    """An answer whose `close` forks."""

    def __init__(self, how: str) -> None:
        super().__init__([b"answered"])
        self.how = how

    def close(self) -> None:
        """Fork."""
        leave(self.how)


def late(how: str) -> Iterator[bytes]:
    """Fork when the last byte has left."""
    yield b"answered"
    leave(how)


def forking(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: PLR0911 - a table of places
    """Fork at the place that the path names, and let the child leave as the query says."""
    place, how = environ["PATH_INFO"], environ["QUERY_STRING"]
    write = start_response(
        "200 OK", [("Content-Length", str(Path(__file__).stat().st_size if place == "/file" else 8))]
    )
    match place:
        case "/aside":
            time.sleep(0.1)  # long enough for the role to be taken away
        case "/iterable":
            return (leave(how) for _ in range(1))
        case "/late":
            return late(how)
        case "/close":
            return Closing(how)
        case "/write":
            write(leave(how))
            return []
        case "/file":
            leave(how)
            return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))  # type: ignore[no-any-return]  # any in environ
        case "/body":
            leave(how)
            return [environ["wsgi.input"].read()]
        case "/status":
            wait_until(lambda: FORKED)
            return [b"%8d" % os.waitstatus_to_exitcode(os.waitpid(FORKED.pop(), 0)[1])]
        case "/pid":
            return [b"%8d" % os.getpid()]
        case _:
            pass
    return [leave(how)]


def hear(speaking: int) -> None:
    """Say that a child has begun, since Python drops a signal that comes while it forks, and wait for signals."""
    os.write(speaking, b"!")
    os.close(speaking)
    while True:
        time.sleep(0.05)  # not `pause`, which may begin just after the signal has come


def living(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Leave children behind that live until somebody ends them, and that hear signals when this returns."""
    pids = []
    listening, speaking = os.pipe()
    if environ["PATH_INFO"] == "/hand":
        pids.append(os.fork())
        if not pids[0]:
            hear(speaking)
    elif environ["PATH_INFO"] == "/daemon":
        process = multiprocessing.get_context("fork").Process(target=hear, args=(speaking,), daemon=True)
        process.start()
        pids.append(process.pid or 0)
    os.close(speaking)
    os.read(listening, 1)
    os.close(listening)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(pid).encode() for pid in pids]


def terminating(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Start children and end each at once."""
    codes = set()
    for _ in range(50):
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        process.start()
        os.kill(process.pid or 0, signal.Signals[environ["QUERY_STRING"]])
        process.join(20)
        codes.add(process.exitcode)
    start_response("200 OK", [])
    return [repr(codes).encode()]


def double(number: int) -> int:
    return 2 * number


def working(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Have processes of the kind that the query names do something."""
    method = environ["QUERY_STRING"]
    if method.startswith("subprocess"):
        hook = os.getpid if method == "subprocess-hook" else None
        command = [sys.executable, "-c", "print(42)"]
        run = subprocess.run(command, capture_output=True, check=True, preexec_fn=hook)
        text = run.stdout.strip()
    else:
        context = multiprocessing.get_context(method)
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
            text = str(sum(pool.map(double, range(7)))).encode()
    start_response("200 OK", [])
    return [text]


def serving_in_a_child(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Run a server of its own in a child of a request."""
    pid = os.fork()
    if pid == 0:
        import waitressd

        waitressd.serve(forking, unix_socket=environ["QUERY_STRING"])
        os._exit(5)
    FORKED.append(pid)
    start_response("200 OK", [])
    return [str(pid).encode()]


# -- what holds


@pytest.fixture
def serving() -> Iterator[Callable[..., ServerProcess]]:
    """Start servers of applications of this module; they are killed at the end."""
    with contextlib.ExitStack() as stack:

        def start(name: str, *options: str, **more: Any) -> ServerProcess:
            arguments = ["--listen=127.0.0.1:0", *options, name if ":" in name else f"{HERE}:{name}"]
            return stack.enter_context(server_process(arguments, **more))

        yield start


def descriptors(pid: int) -> list[str]:
    """Name what a process has open."""
    names = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            names.append(str(link.readlink()))
    return names


def is_over(pid: int) -> bool:
    """Whether a process has ended, be it waited for or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def get(server: ServerProcess, target: str) -> Response:
    with server.connect() as client:
        answer = client.get(target)
        assert answer.status == 200
        return answer


def upload(server: ServerProcess, target: str) -> Response:
    """Send a body only when the application asks for it."""
    with server.connect() as client:
        head = f"POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\nExpect: 100-continue\r\n\r\n"
        client.send(head.encode())
        assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"answered")
        return client.receive()


WAYS: Final = {"return": 0, "exit": 0, "exit7": 7, "exit-words": 1, "raise": 1, "again": 0}


@pytest.mark.parametrize("log", [(), ("--request-log=common",)], ids=["plain", "observed"])
@pytest.mark.parametrize("place", ["call", "aside", "iterable", "write", "file", "close", "late", "body"])
def test_a_child_that_comes_back_to_the_server_ends_as_a_program_does(
    place: str, log: tuple[str, ...], serving: Callable[..., ServerProcess]
) -> None:
    server = serving("forking", *log)
    for how, status in WAYS.items():
        answer = upload(server, f"/{place}?{how}") if place == "body" else get(server, f"/{place}?{how}")
        assert place == "file" or answer.body == b"answered"
        assert int(get(server, "/status").body) == status, how
    assert server.terminate(10) == 0
    assert "the words of sys.exit\n" in server.output
    assert "ValueError: raised in the child" in server.output
    assert "from the child" in server.output
    for trouble in ("please report", "Exception while", "left before", "failed", "in vain"):
        assert trouble not in server.output
    if log:
        assert len(re.findall(rf'"(?:GET|POST) /{place}\?\S+ HTTP/1.1" 200', server.output)) == len(WAYS)


@pytest.mark.parametrize("place", ["hand", "daemon"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_end_a_child(number: signal.Signals, place: str, serving: Callable[..., ServerProcess]) -> None:
    server = serving("living")
    child = int(get(server, f"/{place}").body)
    assert not is_over(child)

    def is_ended() -> bool:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)  # again: CPython loses a SIGINT that comes while it forks
        return is_over(child)

    assert wait_until(is_ended)
    assert get(server, "/").body == b""
    assert server.terminate(10) == 0


def test_a_daemon_child_ends_with_the_server(serving: Callable[..., ServerProcess]) -> None:
    server = serving("living")
    child = int(get(server, "/daemon").body)
    assert server.terminate(10) == 0
    assert is_over(child)


# Not SIGINT: its handler is Python's, which drops what is raised while a child begins.
@pytest.mark.parametrize(("name", "status"), [("SIGTERM", -15), ("SIGHUP", -1)])
def test_a_child_is_ended_by_a_signal_that_comes_while_it_begins(
    name: str, status: int, serving: Callable[..., ServerProcess]
) -> None:
    server = serving("terminating")
    assert get(server, f"/?{name}").body == b"{%d}" % status


def test_a_child_holds_nothing_of_the_server(serving: Callable[..., ServerProcess]) -> None:
    server = serving("living", "--threads=2")
    with server.connect(), server.connect():
        child = int(get(server, "/hand").body)
        kinds = descriptors(child)
    assert [kind for kind in kinds if kind.startswith(("socket:", "anon_inode:"))] == []
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver", "subprocess", "subprocess-hook"])
def test_processes_of_every_kind_work_from_a_request(method: str, serving: Callable[..., ServerProcess]) -> None:
    server = serving("working")
    for _ in range(2):
        assert get(server, f"/?{method}").body == b"42"
    assert server.terminate(10) == 0
    assert "Traceback" not in server.output


AT_IMPORT: Final = """
import concurrent.futures, multiprocessing, os, signal
from tests.functional.test_forks import double
if os.environ["METHOD"] == "daemon":
    process = multiprocessing.get_context("fork").Process(target=signal.pause, daemon=True)
    process.start()
    pid = process.pid
elif os.environ["METHOD"] == "exit":
    pid = os.fork()
    if pid == 0:
        raise SystemExit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
else:
    pool = concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(os.environ["METHOD"]))
    assert sum(pool.map(double, range(7))) == 42
    pid = next(iter(pool._processes))

def application(environ, start_response):
    start_response("200 OK", [])
    return [str(pid).encode()]
"""


INI: Final = """
[server:main]
use = egg:waitressd
unix_socket = {path}
fast_listen = true
[app:main]
use = call:importing:make
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys =
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
"""


@pytest.mark.parametrize("method", ["daemon", "exit", "fork", "spawn", "forkserver"])
@pytest.mark.parametrize("command", ["waitressd", "pserve"])
def test_children_of_the_import(method: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "importing.py").write_text(AT_IMPORT, encoding="utf-8")
    path = tmp_path / "web.sock"
    environment = {"METHOD": method}
    arguments = ["--listen", f"unix:{path}", "--fast-listen", "importing:application"]
    more: dict[str, Any] = {}
    if command == "pserve":
        (tmp_path / "a.ini").write_text(INI.format(path=path), encoding="utf-8")
        with (tmp_path / "importing.py").open("a") as file:
            file.write("\ndef make(global_conf):\n    return application\n")
        arguments = ["a.ini"]
        more["command"] = (sys.executable, "-m", "pyramid.scripts.pserve")
        environment["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{Path.cwd()}"
    with server_process(arguments, cwd=tmp_path, environment=environment, **more) as server:
        child = int(get(server, "/").body)
        assert path.exists()
        if method in ("daemon", "fork"):
            names = descriptors(child)
            listener = [name for name in descriptors(server.pid) if is_listener(name)]
            assert not set(listener) & set(names)
        assert server.terminate(10) == 0
        assert not path.exists()
        assert wait_until(lambda: is_over(child))
        assert "Traceback" not in server.output


def is_listener(name: str) -> bool:
    """Whether a descriptor of that name is a Unix socket that listens and has a path."""
    inode = name.removeprefix("socket:[").removesuffix("]")
    lines = Path("/proc/net/unix").read_text(encoding="utf-8").splitlines()
    return any(line.split()[6] == inode and len(line.split()) > 7 for line in lines[1:])


def test_the_service_goes_on_beside_children_that_return(serving: Callable[..., ServerProcess]) -> None:
    """A child that stayed on the poller of its parent would take wake-ups of it, that of a stop among them."""
    for _ in range(4):
        server = serving("forking", "--threads=2")
        for how in ("return", "raise", "exit"):
            get(server, f"/call?{how}")
        assert server.terminate(10) == 0


def test_a_child_may_run_a_server_of_its_own(serving: Callable[..., ServerProcess], tmp_path: Path) -> None:
    path = tmp_path / "own.sock"
    server = serving("serving_in_a_child")
    child = int(get(server, f"/?{path}").body)
    assert wait_until(path.exists)
    with socket.socket(socket.AF_UNIX) as sock:
        assert wait_until(lambda: sock.connect_ex(str(path)) == 0)  # bound, and listening a moment later
        for target, text in (("call?exit7", b"answered"), ("status", b" 7")):  # and have children there, too
            sock.sendall(f"GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            answer = sock.recv(1000)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(text)
    os.kill(child, signal.SIGTERM)
    assert wait_until(lambda: not path.exists())
    assert wait_until(lambda: is_over(child))
    assert server.terminate(10) == 0


WORKERS: Final = """
import os, sys, waitressd
from tests.functional.test_forks import forking
from waitressd.requestlog import formats
log = formats.common({}, path=sys.argv[2])
server = waitressd.create_server(forking, unix_socket=sys.argv[1], request_log=log)
workers = []
for _ in range(2):
    workers.append(os.fork())
    if not workers[-1]:
        server.run()
        os._exit(0)
print("workers", *workers, flush=True)
for worker in workers:
    os.waitpid(worker, 0)
server.close()
"""


def test_workers_that_share_a_listener_end_one_by_one_and_log_all_requests(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    (tmp_path / "workers.py").write_text(WORKERS, encoding="utf-8")
    server = start_process(
        ["workers.py", str(path), str(tmp_path / "access.log")], command=(sys.executable,), cwd=tmp_path
    )
    try:
        workers = [int(pid) for pid in server.wait_for_output(r"workers (\d+) (\d+)").groups()]
        for left in (2, 1):
            with Client(str(path)) as client:
                assert int(client.get("/pid").body) in workers
            os.kill(workers[-left], signal.SIGTERM)
            assert wait_until(partial(is_over, workers[-left]))
            assert path.exists() or left == 1
        assert server.wait(10) == 0
        assert not path.exists()
        assert len((tmp_path / "access.log").read_text().splitlines()) == 2
    finally:
        server.kill()
