"""A server that is started in a terminal, and what it says there; started elsewhere, it says what it always said."""

import os
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.fleets import needs_a_fleet
from tests.support.servers import ROOT, server_process
from tests.support.waiting import wait_until

if sys.platform == "win32":
    pytest.skip("no terminals of this kind", allow_module_level=True)

from tests.support.terminals import Terminal, in_terminal

INI = """\
[app:main]
use = call:waitressd.deploy:demo
[server:main]
use = egg:waitressd
listen = 127.0.0.1:0
threads = 3
"""
WAITRESSD = (sys.executable, "-m", "waitressd")
PSERVE = (
    sys.executable, "-W", "ignore", "-c", "import sys; from pyramid.scripts.pserve import main; sys.exit(main())",
)  # fmt: skip
SLOW = """\
import threading, time
time.sleep({loading})
release = threading.Event()
def app(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        release.wait(20)
    elif environ["PATH_INFO"] == "/release":
        release.set()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "0")])
    return []
"""


@contextmanager
def started(command: Sequence[str], folder: Path, **environment: str) -> Iterator[Terminal]:
    unset = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    environ = {**unset, "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "TERM": "xterm", **environment}
    words = ("-c", "import os, sys; os.chdir(sys.argv[1]); os.execv(sys.argv[2], sys.argv[2:])", str(folder))
    with in_terminal([sys.executable, *words, *command], environ) as terminal:
        yield terminal


def address(terminal: Terminal) -> tuple[str, int]:
    return "127.0.0.1", int(terminal.read_until_match(r"http://127\.0\.0\.1:(\d+)")[1])


def stop(terminal: Terminal) -> str:
    """Press Ctrl-C when it is heard, and return all that was shown."""
    with Client(address(terminal)) as client:
        client.get("/")
    terminal.press("\x03")
    assert terminal.wait() == 0
    return terminal.shown()


def banner(text: str) -> list[str]:
    (found,) = re.findall(r"^(?:.*\r)?(waitressd \S+ on \S+\r\n(?:  .*\r\n)*)", text, re.MULTILINE)
    return str(found).splitlines()


@pytest.mark.parametrize("command", [(*WAITRESSD, "--config"), PSERVE], ids=["waitressd", "pserve"])
def test_a_banner_says_where_it_serves_and_how_to_stop_it(command: Sequence[str], tmp_path: Path) -> None:
    (tmp_path / "shop.ini").write_text(INI, encoding="utf-8")
    with started([*command, "shop.ini"], tmp_path) as terminal:
        text = stop(terminal)
    assert banner(text)[1:] == ["  3 threads, as shop.ini says", "  Ctrl-C stops it"]
    assert b"on \x1b[1mhttp://" in terminal.drawn


@needs_a_fleet
def test_a_fleet_says_how_many_it_is_and_how_new_code_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "shop.ini").write_text(f"{INI}workers = 2\nadmin_listen = 127.0.0.1:0\n", encoding="utf-8")
    with started([*WAITRESSD, "--config", "shop.ini"], tmp_path) as terminal:
        terminal.read_until("shows who is in it")
        text = stop(terminal)
    lines = banner(text)
    assert lines[1] == "  2 workers x 3 threads, as shop.ini says"
    assert re.fullmatch(r"  Ctrl-C stops it; kill -HUP \d+ loads new code", lines[2])
    assert lines[3:] == ["  waitressd top shop.ini shows who is in it"]


def test_colours_can_be_switched_off(tmp_path: Path) -> None:
    with started([*WAITRESSD, "--listen=127.0.0.1:0", "tests.apps.plain:hello"], tmp_path, NO_COLOR="1") as terminal:
        terminal.read_until("Ctrl-C")
        assert not re.search(rb"\x1b\[\d*m", terminal.drawn)


def test_who_wants_it_quiet_gets_no_banner(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SLOW.format(loading=0), encoding="utf-8")
    options = ["--quiet", f"--unix-socket={tmp_path}/web.sock"]
    with started([*WAITRESSD, *options, "hello:app"], tmp_path) as terminal:
        assert wait_until((tmp_path / "web.sock").exists)
        with Client(str(tmp_path / "web.sock")) as client:
            client.get("/")
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert terminal.shown().replace("^C", "").strip() == "loading hello:app ..."


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=needs_a_fleet)])
def test_a_stop_that_takes_long_says_what_it_waits_for(workers: int, tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SLOW.format(loading=0), encoding="utf-8")
    options = ["--listen=127.0.0.1:0", f"--workers={workers}"]
    with started([*WAITRESSD, *options, "hello:app"], tmp_path) as terminal:
        place = address(terminal)
        terminal.read_until("Ctrl-C")
        with Client(place) as client:
            client.get("/")
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.is_silent(0.2)
            terminal.press("\x03")
            what = "1 request" if workers == 1 else "1 worker"
            terminal.read_until_match(rf"finishing: {what}, 2\d s at most\r")
            terminal.press("\x03")
            assert terminal.wait() == 0
        assert b"\x1b[K" in terminal.drawn.rpartition(b"finishing: ")[2]


@needs_a_fleet
def test_workers_that_load_for_long_are_counted(tmp_path: Path) -> None:
    (tmp_path / "hello.py").write_text(SLOW.format(loading=2.5), encoding="utf-8")
    options = ["--listen=127.0.0.1:0", "--workers=2", "--no-preload"]
    with started([*WAITRESSD, *options, "hello:app"], tmp_path) as terminal:
        terminal.read_until("loading: 0 of 2 workers serve\r")
        stop(terminal)


def test_without_a_terminal_the_lines_are_what_they_were() -> None:
    options = ["--listen=127.0.0.1:0", "tests.apps.plain:hello"]
    with server_process(options, environment={"FORCE_COLOR": "1"}) as server:
        with server.connect() as client:
            client.get("/")
        server.signal(signal.SIGINT)
        assert server.wait() == 0
    lines = [re.sub(r"^\S+ \S+ ", "", line) for line in server.output.splitlines()]
    assert lines == [
        f"INFO  [waitressd] Serving on http://127.0.0.1:{server.address[1]}",
        "INFO  [waitressd] SIGINT: stopping; a second signal ends at once",
    ]


def test_development_lines_can_be_forced_to_have_colours(tmp_path: Path) -> None:
    (tmp_path / "shop.ini").write_text(f"{INI}request_log = dev\n", encoding="utf-8")
    with server_process(["--config", str(tmp_path / "shop.ini")], environment={"FORCE_COLOR": "1"}) as server:
        with server.connect() as client:
            client.get("/")
        server.wait_for_output("\x1b\\[32m200\x1b\\[0m")
