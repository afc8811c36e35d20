"""The loop of the master, with real templates and workers around it."""

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import ROOT
from tests.support.servers import ServerProcess, server_process
from tests.support.waiting import wait_until
from waitressd.fleet.processes import can_adopt

pytestmark = pytest.mark.skipif(not can_adopt(), reason="needs a parent of orphans")

APPLICATION = """
import atexit, os, subprocess, sys, time
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@contextlib.contextmanager
def fleet(folder: Path, *words: str) -> Iterator[ServerProcess]:
    """Serve an application that can be changed on disk, with two workers."""
    change(folder, "")
    common = ["--listen", "127.0.0.1:0", "--threads", "1", "--workers", "2"]
    environment = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]), "PYTHONDONTWRITEBYTECODE": "1"}
    with server_process([*common, *words, "changing:app"], environment=environment) as server:
        yield server
        assert server.terminate() == 0


def change(folder: Path, more: str) -> None:
    """Change the code on disk."""
    (folder / "changing.py").write_text(APPLICATION + more)


def reload(server: ServerProcess, pattern: str) -> str:
    """Reload, and return the line that says what came of it."""
    before = len(server.output)
    server.signal(signal.SIGHUP)
    assert wait_until(lambda: re.search(pattern, server.output[before:]), 30), server.output
    return next(line for line in server.output[before:].splitlines() if re.search(pattern, line))


def worker_of(server: ServerProcess) -> int:
    """Return the pid of a worker."""
    with server.connect() as client:
        return int(client.get("/").body)


def open_descriptors(pid: int) -> list[str]:
    """Return what a process has open."""
    return sorted(path.name for path in Path(f"/proc/{pid}/fd").iterdir())


@pytest.mark.parametrize("mode", ["--preload", "--no-preload"])
def test_a_reload_leaves_nothing_open_in_the_master(mode: str, tmp_path: Path) -> None:
    def counted() -> int:
        return len(open_descriptors(server.pid))

    with fleet(tmp_path, mode) as server:
        reload(server, "reload done")
        assert wait_until(lambda: not re.search("never", server.output))
        before = counted()
        for _ in range(3):
            reload(server, "reload done")
        change(tmp_path, "raise NameError('broken')")
        for _ in range(3):
            reload(server, "reload refused")
        change(tmp_path, "")
        reload(server, "reload done")
        assert wait_until(lambda: counted() <= before), open_descriptors(server.pid)


def test_a_refusal_names_the_error_also_where_hooks_speak_after_it(tmp_path: Path) -> None:
    """A process that fails has closed its link before its hooks run; it is not killed for that."""
    with fleet(tmp_path) as server:
        change(tmp_path, "atexit.register(lambda: (time.sleep(0.3), os.write(2, b'the hook\\n')))\n1 / 0\n")
        line = reload(server, "reload refused")
        assert "exit status 1: ZeroDivisionError: division by zero" in line
        assert "the hook\n" in server.output


def test_a_child_of_the_application_keeps_its_error_output(tmp_path: Path) -> None:
    """One that it starts while it is loaded writes to a pipe of the master, also when that has been passed on."""
    with fleet(tmp_path) as server:
        go = tmp_path / "go"
        os.mkfifo(go)
        change(
            tmp_path,
            f"subprocess.Popen(['sh', '-c', 'read word < {go}; echo the child speaks >&2; echo again >&2'])\n",
        )
        reload(server, "reload done")
        go.write_text("now\n")
        server.wait_for_output("the child speaks\n(.*\n)*again")
        assert worker_of(server)


@pytest.mark.parametrize("mode", ["--preload", "--no-preload"])
def test_a_worker_that_is_killed_is_explained_and_replaced(mode: str, tmp_path: Path) -> None:
    with fleet(tmp_path, mode) as server:
        pid = worker_of(server)
        os.kill(pid, signal.SIGKILL)
        server.wait_for_output(rf"pid {pid}\b.*signal 9 \(SIGKILL\)")
        assert wait_until(lambda: worker_of(server) != pid)


HANGS_AT_BIRTH = """
forks = []
def hang():
    forks.append(os.getpid())
    if len(forks) == 2:  # first the process in between, then the worker
        time.sleep(600)
os.register_at_fork(after_in_child=hang)
"""


def test_a_worker_that_hangs_before_it_says_anything_is_ended(tmp_path: Path) -> None:
    """Its template has told the master who it is."""

    def namesakes_of_the_template() -> int:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        names = [Path(f"/proc/{pid}/comm").read_text().strip() for pid in children]
        return names.count("waitressd-code2")

    with fleet(tmp_path, "--preload", "--worker-boot-timeout", "5") as server:
        change(tmp_path, HANGS_AT_BIRTH)
        reload(server, "did not start: not ready after 5 s")
        change(tmp_path, "")
        reload(server, "reload done")
        assert wait_until(lambda: namesakes_of_the_template() == 0)


def test_stacks_of_all_processes_on_request(tmp_path: Path) -> None:
    with fleet(tmp_path) as server:
        assert worker_of(server)
        server.signal(signal.SIGQUIT)
        server.wait_for_output(r'waitressd/fleet/template.py", line \d+ in run')
        server.wait_for_output(r'waitressd/fleet/worker.py", line \d+ in _obey')


def test_a_fleet_that_leaves_begins_nothing_new(tmp_path: Path) -> None:
    with fleet(tmp_path, "--drain-delay", "60") as server:
        server.signal(signal.SIGTERM)
        server.wait_for_output("not ready from now on")
        server.signal(signal.SIGHUP)
        server.wait_for_output("SIGHUP: nothing is done for this signal")
        server.signal(signal.SIGUSR2)
        server.wait_for_output("SIGUSR2: no upgrade: the fleet stops")
        assert worker_of(server)


def test_orphans_of_the_application_are_reaped(tmp_path: Path) -> None:
    """The master is the parent of everything below it whose own parent has ended."""

    def zombies() -> list[str]:
        children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        return [pid for pid in children if " Z " in Path(f"/proc/{pid}/stat").read_text()]

    with fleet(tmp_path) as server:
        change(tmp_path, "subprocess.Popen(['sh', '-c', '(echo an orphan >&2) & exit 0']).wait()\n")
        reload(server, "reload done")
        server.wait_for_output("an orphan")
        assert wait_until(lambda: not zombies())
