"""A stop of a fleet: one deadline for all, nothing that has begun is lost, a second signal ends it at once."""

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.client import Client
from tests.support.fleets import DIED, Fleet, needs_a_fleet, serving, started
from tests.support.load import Load
from tests.support.processes import kill_session, session
from tests.support.servers import free_port, wait_until_accepting
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet


@contextlib.contextmanager
def busy_workers(fleet: Fleet, path: str, count: int = 6) -> Iterator[list[Client]]:
    """Have clients wait for answers that take their time; enough of them for each worker to have one."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(fleet.address)) for _ in range(count)]
        for client in clients:
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        # Together less than what the shortest of the answers takes.
        assert clients[0].is_silent(0.3)
        assert all(client.is_silent(0.01) for client in clients)
        yield clients


def to_master(fleet: Fleet, number: signal.Signals) -> None:
    fleet.signal(number)


def to_group(fleet: Fleet, number: signal.Signals) -> None:
    fleet.signal_group(number)


@pytest.mark.parametrize("preload", ["on", "off"])
@pytest.mark.parametrize("send", [to_master, to_group])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_has_begun_is_ended_and_the_status_is_0(
    number: signal.Signals, send: object, preload: str, tmp_path: Path
) -> None:
    assert callable(send)
    with serving(Site(tmp_path, workers=2, preload=preload)) as fleet:
        with busy_workers(fleet, "/sleep/0.7") as clients:
            send(fleet, number)
            for client in clients:
                answer = client.receive()
                assert (answer.status, answer.closes) == (200, True)
        assert fleet.wait(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()
        assert "Traceback" not in fleet.output


@pytest.mark.parametrize("send", [to_master, to_group])
def test_under_load_no_request_is_cut_off(send: object, tmp_path: Path) -> None:
    """Whoever comes after the stop is refused; what was accepted is answered, and the end is announced."""
    assert callable(send)
    with serving(Site(tmp_path, workers=4)) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 300)
            send(fleet, signal.SIGTERM)
            stopped = time.monotonic()
            assert fleet.wait(10) == 0
            assert time.monotonic() - stopped < 3
        cut = [loss for loss in load.books.lost if not loss.how.startswith("not connected")]
        assert cut == [], fleet.output
        assert load.books.wrong == []
        assert fleet.is_gone_within(0.5), fleet.members()


@pytest.mark.parametrize("send", [to_master, to_group])
def test_a_second_signal_ends_it_at_once(send: object, tmp_path: Path) -> None:
    assert callable(send)
    with serving(Site(tmp_path, shutdown_timeout=600)) as fleet, busy_workers(fleet, "/sleep/30"):
        send(fleet, signal.SIGTERM)
        time.sleep(0.3)
        send(fleet, signal.SIGTERM)
        began = time.monotonic()
        assert fleet.wait(5) == 0
        assert time.monotonic() - began < 3
        assert fleet.is_gone_within(0.5), fleet.members()


def test_signals_up_to_the_last_moment_do_not_change_the_status(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        while fleet.process.poll() is None:
            fleet.signal(signal.SIGTERM)
            time.sleep(0.001)
        assert fleet.wait(5) == 0, fleet.output
        assert "Traceback" not in fleet.output
        assert fleet.is_gone_within(0.5), fleet.members()


def test_the_deadline_is_one_for_all(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=3, shutdown_timeout=1)) as fleet, busy_workers(fleet, "/sleep/30"):
        began = time.monotonic()
        assert fleet.terminate(15) == 0
        assert 0.9 < time.monotonic() - began < 4
        assert fleet.is_gone_within(0.5), fleet.members()


def test_a_worker_that_is_being_born_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=2, preload="on")) as fleet:
        fleet.workers(2)
        (template,) = (member.pid for member in fleet.members() if member.name.startswith("waitressd-code"))
        os.kill(template, signal.SIGSTOP)  # so it is asked for the worker, and the birth takes its time
        first = next(member.pid for member in fleet.members() if member.name == "waitressd-w1")
        mark = fleet.mark()
        os.kill(first, signal.SIGKILL)
        fleet.wait_for(DIED, mark)
        fleet.signal(signal.SIGTERM)
        assert wait_until(lambda: len(fleet.members()) == 2), fleet.members()  # the other worker has ended
        os.kill(template, signal.SIGCONT)
        assert fleet.wait(5) == 0
        assert "is still there" not in fleet.output
        assert fleet.is_gone_within(0.5), fleet.members()


def test_a_worker_that_hangs_does_not_keep_the_others_from_their_end(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=2, shutdown_timeout=1)) as fleet:
        with Client(fleet.address) as hanging:
            hanging.send(b"GET /hold/40 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert hanging.is_silent(0.3)
            with Client(fleet.address) as client:
                client.send(b"GET /sleep/0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
                assert client.is_silent(0.1)
                fleet.signal(signal.SIGTERM)
                assert client.receive().status == 200
            fleet.wait(12)
        assert fleet.is_gone_within(0.5), fleet.members()


def test_a_stop_before_the_first_worker_serves(tmp_path: Path) -> None:
    site = Site(tmp_path, preload="off")
    site.write(1, "print('importing', flush=True); time.sleep(0.5)")
    with started(site) as fleet:
        fleet.wait_for("(?s)importing.*importing")
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()


def test_the_files_of_unix_sockets_are_the_masters(tmp_path: Path) -> None:
    path = tmp_path / "app.sock"
    site = Site(tmp_path, listen=f"unix:{path}")
    with serving(site) as fleet:
        identity = path.stat().st_ino
        site.write(2)
        fleet.reload()
        victim = min(fleet.workers(2))
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: victim not in {member.pid for member in fleet.members()})
        assert {worker["version"] for worker in fleet.workers(2).values()} == {2}
        assert path.stat().st_ino == identity
        assert fleet.terminate(10) == 0
    assert not path.exists()


def test_a_unix_socket_under_load(tmp_path: Path) -> None:
    site = Site(tmp_path, listen=f"unix:{tmp_path}/app.sock")
    with serving(site) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 100)
            site.write(2)
            fleet.reload()
            assert wait_until(lambda: load.books.last_of(2) > 0)
        assert load.books.trouble() == [], fleet.output


def test_temporary_folders_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with serving(Site(tmp_path), environment={"TMPDIR": str(folder)}) as fleet:
        with Client(fleet.address) as client:
            client.send(b"POST /quick HTTP/1.1\r\nHost: a\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 2_000_000)
            assert client.receive("POST").status == 200
        os.kill(min(fleet.workers(2)), signal.SIGKILL)
        fleet.workers(2)
        assert fleet.terminate(10) == 0
    assert list(folder.rglob("*")) == []


@pytest.mark.parametrize("send", [to_master, to_group])
def test_a_stop_is_said_once(send: object, tmp_path: Path) -> None:
    assert callable(send)
    with serving(Site(tmp_path, workers=3)) as fleet:
        mark = fleet.mark()
        send(fleet, signal.SIGTERM)
        assert fleet.wait(10) == 0
        assert re.findall(r"\w+ \d+ (.*)", fleet.since(mark)) == ["SIGTERM: stopping; a second signal ends at once"]


def test_one_worker_that_is_told_to_end_does_not_say_that_the_server_stops(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=2)) as fleet:
        mark = fleet.mark()
        os.kill(min(fleet.workers(2)), signal.SIGTERM)
        fleet.wait_for(r"worker \d .* serves", mark)
        assert re.search(r"was told to end; it is replaced at once", fleet.since(mark))
        assert "stopping" not in fleet.since(mark)


def test_a_full_pipe_keeps_nobody_from_stopping(tmp_path: Path) -> None:
    """Also where lines of the log have hung since the start, and the log files are being opened anew."""
    port, (reader, writer) = free_port(), os.pipe()
    os.set_blocking(writer, False)
    for size in (4096, 1):
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writer, b"x" * size)
    os.set_blocking(writer, True)
    site = Site(tmp_path, listen=f"127.0.0.1:{port}")
    environment = {**os.environ, **site.environment()}
    with subprocess.Popen(
        site.command("config"),
        cwd=site.folder,
        env=environment,
        stdout=writer,
        stderr=writer,
        start_new_session=True,
    ) as process:
        os.close(writer)
        try:
            wait_until_accepting(("127.0.0.1", port))
            with Client(("127.0.0.1", port)) as client:
                assert client.get("/quick").status == 200
            process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: "waitressd-code2" in {member.name for member in session(process.pid)}, 20)
            process.terminate()
            assert process.wait(20) == 0
        finally:
            kill_session(process.pid)
            os.close(reader)


@pytest.mark.parametrize("preload", ["on", "off"])
def test_handlers_of_the_application_are_called_when_a_worker_has_stopped(preload: str, tmp_path: Path) -> None:
    """As in a single process: those of SIGTERM after the stop, by whatever way a worker was told; others at once."""
    site = Site(tmp_path, workers=2, preload=preload)
    handlers = (
        "import signal\n"
        "def heard(number, frame):\n"
        "    with open('heard', 'a') as file: file.write(f'{number} ')\n"
        "for number in (signal.SIGTERM, signal.SIGUSR2): signal.signal(number, heard)"
    )
    site.write(1, handlers)
    heard = tmp_path / "heard"
    with serving(site) as fleet:
        os.kill(min(fleet.workers(2)), signal.SIGUSR2)
        assert wait_until(heard.exists)
        assert fleet.terminate() == 0
    assert heard.read_text(encoding="utf-8").split() == [str(int(signal.SIGUSR2)), *2 * [str(int(signal.SIGTERM))]]
