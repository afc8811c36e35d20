"""What stands against a fork, each thing left behind by a real process."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from waitressd.fleet.hazards import Hazard, explain

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process has open")

FIND: Final = "\nfrom waitressd.fleet.hazards import find_hazards\nfor item in find_hazards(): print(item)\n"
CONNECT: Final = (
    "import os, socket; server = socket.create_server(('127.0.0.1', 0)); port = server.getsockname()[1]\n"
    "client = socket.create_connection(('127.0.0.1', port)); print(port)\n"
)


def left_by(code: str, folder: Path, stdin: int = subprocess.DEVNULL, stderr: int | None = None) -> list[str]:
    """Run code in a process of its own, in a folder, and return the lines that it prints, hazards last."""
    run = subprocess.run(
        [sys.executable, "-c", code + FIND],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return run.stdout.splitlines()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        pytest.param("", [], id="nothing"),
        pytest.param(
            "import threading; lock = threading.Lock(); lock.acquire()\n"
            "threading.Thread(target=lock.acquire, name='sched\\nuler', daemon=True).start()",
            ["the thread sched uler"],
            id="a thread",
        ),
        pytest.param("import threading; t = threading.Thread(target=int); t.start(); t.join()", [], id="an ended one"),
        pytest.param("import select; it = select.epoll()", ["an epoll descriptor"], id="epoll"),
        pytest.param("import ctypes; ctypes.CDLL(None).eventfd(0, 0)", ["an event descriptor"], id="eventfd"),
        pytest.param(
            "import ctypes; libc = ctypes.CDLL(None); libc.inotify_init(); libc.timerfd_create(1, 0)",
            ["an inotify descriptor", "a timer descriptor"],
            id="inotify and a timer",
        ),
        pytest.param(
            "import asyncio; loop = asyncio.new_event_loop()",
            ["an epoll descriptor", "one end of a socket pair", "one end of a socket pair"],
            id="asyncio",
        ),
        pytest.param("it = open('a', 'w')", ["the file {folder}/a"], id="written"),
        pytest.param("it = open('a', 'a'); other = open('a'); import os; os.unlink('a')", [], id="appended and read"),
        pytest.param("import gc; gc.disable(); it = [open('a', 'w')]; it.append(it); del it", [], id="held by nobody"),
        pytest.param(
            "import sqlite3; it = sqlite3.connect('a.db'); it.execute('create table a(b)')",
            ["the file {folder}/a.db"],
            id="a data base",
        ),
        pytest.param(
            "files = [open(f'/dev/{name}', 'r+b', 0) for name in ('null', 'zero', 'full', 'random', 'urandom')]",
            [],
            id="devices without state",
        ),
        pytest.param("import os; it = os.openpty()", [], id="a terminal"),
        pytest.param("import socket; it = socket.create_server(('127.0.0.1', 0))", [], id="listening"),
        pytest.param("import socket; it = socket.socket()", [], id="nobody at the other end"),
        pytest.param(
            "import socket; it = socket.socket(type=socket.SOCK_DGRAM); it.connect(('127.0.0.1', 9))",
            [],
            id="datagrams, as those for syslog",
        ),
        pytest.param(
            "import socket; s = socket.socket(socket.AF_UNIX); s.bind('s'); s.listen()\n"
            "c = socket.socket(socket.AF_UNIX); c.connect('s')",
            ["a connection to unix:s"],
            id="a Unix socket",
        ),
        pytest.param(
            "import socket; s = socket.socket(socket.AF_UNIX); s.bind('\\0a'); s.listen()\n"
            "c = socket.socket(socket.AF_UNIX); c.connect('\\0a')",
            ["a connection to unix:@a"],
            id="an abstract Unix socket",
        ),
    ],
)
def test_what_is_left_behind(code: str, expected: list[str], tmp_path: Path) -> None:
    assert left_by(code, tmp_path) == [line.format(folder=tmp_path) for line in expected]


def test_a_thread_that_python_has_no_name_for(tmp_path: Path) -> None:
    code = (
        "import _thread, threading; lock = threading.Lock(); lock.acquire(); begun = threading.Event()\n"
        "_thread.start_new_thread(lambda: (begun.set(), lock.acquire()), ()); begun.wait()"
    )
    (line,) = left_by(code, tmp_path)
    assert line.startswith("the thread ")


def test_a_connection_is_named_by_its_peer(tmp_path: Path) -> None:
    port, *found = left_by(CONNECT, tmp_path)
    assert found == [f"a connection to 127.0.0.1:{port}"]


def test_looking_leaves_a_blocking_socket_blocking(tmp_path: Path) -> None:
    """A default timeout makes Python set new socket objects, and so the descriptor of others, to non-blocking."""
    code = CONNECT + "os.set_blocking(client.fileno(), True); socket.setdefaulttimeout(5)" + FIND
    code += "print(os.get_blocking(client.fileno()), socket.getdefaulttimeout())"
    assert left_by(code, tmp_path)[2] == "True 5.0"


def test_the_standard_streams_may_be_files(tmp_path: Path) -> None:
    with open(tmp_path / "err", "w") as file:  # noqa: PTH123 - a descriptor is needed
        assert left_by("import os; it = os.dup(2)", tmp_path, stdin=file.fileno(), stderr=file.fileno()) == []


def test_what_was_there_before_the_application_is_not_its_own(tmp_path: Path) -> None:
    """Compared by what a descriptor leads to: a closed number is used again by the next file."""
    code = (
        "from waitressd.fleet.hazards import find_hazards\nold = open('old', 'w'); gone = open('gone', 'w')\n"
        "import select; poll = select.epoll(); before = find_hazards(); gone.close(); new = open('new', 'w')\n"
        "for item in find_hazards(before): print(item)\n"
        "another = select.epoll()\nfor item in find_hazards(before): print(item)\nraise SystemExit"
    )
    new = f"the file {tmp_path}/new"
    assert left_by(code, tmp_path) == [new, new, "an epoll descriptor"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["a"], "a"),
        (["the thread cron", "a connection to 10.0.0.5:5432"], "the thread cron and a connection to 10.0.0.5:5432"),
        (["a socket", "a socket"], "a socket"),
        (["a", "b", "c", "d", "e"], "a, b, c, d and e"),
        ([*"abcdefgh"], "a, b, c, d and 4 more"),
    ],
)
def test_they_are_named_in_one_sentence(names: list[str], said: str) -> None:
    assert explain([Hazard(name) for name in names]) == f"the application left {said} open"
