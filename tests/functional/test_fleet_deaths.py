"""Whatever ends a worker is explained in one line and made good; whatever ends the master ends them all."""

import contextlib
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client
from tests.support.fleets import (
    DIED,
    LATELY_SECONDS,
    RELOADED,
    Fleet,
    kill_worker,
    needs_a_fleet,
    serving,
    unexplained,
)
from tests.support.load import Load
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

GONE_SECONDS: Final = 2.0


def lines_of_death(output: str, pid: int) -> list[str]:
    """Return the lines that are about the death of this process."""
    return [line for line in output.splitlines() if re.search(rf"\b{pid}\b", line) and re.search(DIED, line)]


def fall(fleet: Fleet, path: str) -> None:
    """Have the worker that answers fall."""
    with Client(fleet.address) as client, contextlib.suppress(OSError, AssertionError):
        client.get(path)


def is_reaped(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()


def names(fleet: Fleet) -> list[str]:
    return [f"{member.pid} {member.name} {member.state}" for member in fleet.members()]


@pytest.mark.parametrize(
    ("path", "words"),
    [("/exit/7", r"status 7"), ("/exit/0", r"status 0"), ("/signal/9", r"SIGKILL"), ("/signal/6", r"SIGABRT")],
)
@pytest.mark.parametrize("preload", ["on", "off"])
def test_a_death_is_explained_in_one_line_and_made_good(path: str, words: str, preload: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload=preload)) as fleet:
        before = fleet.workers(2)
        fall(fleet, path)
        assert wait_until(lambda: before.keys() - {member.pid for member in fleet.members()})
        after = fleet.workers(2)
        (dead,) = before.keys() - after.keys()
        assert {worker["number"] for worker in after.values()} == {1, 2}
        (line,) = lines_of_death(fleet.output, dead)
        assert re.search(words, line), line
        assert re.search(rf"[Ww]orker {before[dead]['number']}\b", line), line
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), names(fleet)


def test_a_kill_from_outside_under_load_costs_the_requests_of_one_worker(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=2)) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.pids(0)) == 2)
            time.sleep(LATELY_SECONDS)
            kills = []
            for _ in range(3):
                kills.append(kill_worker(load))
                time.sleep(LATELY_SECONDS)
        books = load.stop()
        assert books.wrong == []
        assert unexplained(books.lost + books.silent, kills) == []
        for kill in kills:
            assert len(lines_of_death(fleet.output, kill.victim)) == 1
        assert fleet.terminate(10) == 0


def test_a_terminated_worker_ends_what_it_has_begun_and_is_replaced(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        before = fleet.workers(2)
        with Client(fleet.address) as client:
            client.send(b"GET /sleep/0.5 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.is_silent(0.1)
            for pid in before:
                os.kill(pid, signal.SIGTERM)
            assert client.receive().status == 200
        assert wait_until(lambda: not before.keys() & {member.pid for member in fleet.members()})
        assert len(fleet.workers(2)) == 2
        assert fleet.terminate(10) == 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGUSR2, signal.SIGTTIN, signal.SIGTTOU])
def test_a_worker_and_a_template_ignore_signals_that_are_meant_for_the_master(
    number: signal.Signals, tmp_path: Path
) -> None:
    with serving(Site(tmp_path)) as fleet:
        before = {member.pid for member in fleet.members()}
        for pid in before - {fleet.pid}:
            os.kill(pid, number)
        assert fleet.workers(2).keys() <= before
        assert {member.pid for member in fleet.members()} == before


def test_a_template_that_is_killed_is_replaced_and_no_worker_notices(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        before = fleet.workers(2)
        (template,) = [member.pid for member in fleet.members() if member.name == "waitressd-code1"]
        os.kill(template, signal.SIGKILL)
        assert wait_until(
            lambda: any(
                member.name.startswith("waitressd-code") and member.pid != template for member in fleet.members()
            )
        ), fleet.output
        assert fleet.workers(2).keys() == before.keys()
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        assert wait_until(lambda: victim not in {member.pid for member in fleet.members()})
        assert len(fleet.workers(2)) == 2
        assert fleet.terminate(10) == 0


# Once the files are there: the next worker ends in its first moment, and its template is slow to tell its number.
DIES_AT_BIRTH = """
forks = 0
def be_child():
    global forks
    forks += 1  # 1 template, 2 the process between, 3 worker
    if forks == 3 and os.path.exists("die"):
        os.unlink("die")
        os._exit(9)
def be_parent():
    if forks == 1 and os.path.exists("slow"):
        time.sleep(0.5)
os.register_at_fork(after_in_child=be_child, after_in_parent=be_parent)
"""


def test_a_worker_that_dies_before_its_number_is_known_has_a_successor(tmp_path: Path) -> None:
    site = Site(tmp_path, preload="on")
    site.write(1, DIES_AT_BIRTH)
    with serving(site) as fleet:
        victim = min(fleet.workers(2))
        for name in ("slow", "die"):
            (tmp_path / name).touch()
        mark = fleet.mark()
        os.kill(victim, signal.SIGKILL)
        fleet.wait_for("did not start: exit status 9", mark)
        assert len(fleet.workers(2)) == 2
        assert fleet.terminate(10) == 0


def test_workers_that_die_young_again_and_again_do_not_eat_the_machine(tmp_path: Path) -> None:
    site = Site(tmp_path, preload="off")
    with serving(site) as fleet:
        site.write(1, "os._exit(9)")
        victim = min(fleet.workers(2))
        mark = fleet.mark()
        os.kill(victim, signal.SIGKILL)
        time.sleep(4)
        lines = [line for line in fleet.since(mark).splitlines() if line]
        assert len(lines) <= 12, fleet.since(mark)
        assert fleet.who()["version"] == 1
        site.write(2)
        fleet.reload()
        assert {worker["version"] for worker in fleet.workers(2).values()} == {2}
        assert fleet.terminate(10) == 0


def test_no_zombie_stays(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        for _ in range(3):
            victim = min(fleet.workers(2))
            os.kill(victim, signal.SIGKILL)
            assert wait_until(partial(is_reaped, victim)), "nobody has waited for it"


# -- the end of the master


@pytest.mark.parametrize("preload", ["on", "off"])
@pytest.mark.parametrize("way", ["config", "pserve", "serve"])
def test_nothing_outlives_the_master(way: str, preload: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload=preload), way) as fleet:
        port = fleet.address[1]
        os.kill(fleet.pid, signal.SIGKILL)
        assert fleet.is_gone_within(GONE_SECONDS), names(fleet)
        socket.create_server(("127.0.0.1", int(port))).close()


def test_nothing_outlives_the_master_under_load(tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 100)
            os.kill(fleet.pid, signal.SIGKILL)
            assert fleet.is_gone_within(GONE_SECONDS), names(fleet)


@contextlib.contextmanager
def held_worker(fleet: Fleet, seconds: float) -> Iterator[None]:
    """Have one worker hold its interpreter lock, as a long regular expression does."""
    with Client(fleet.address) as client:
        client.send(b"GET /hold/%d HTTP/1.1\r\nHost: a\r\n\r\n" % seconds)
        assert client.is_silent(0.3)
        yield


@pytest.mark.parametrize("preload", ["on", "off"])
def test_nothing_outlives_the_master_also_with_a_worker_that_hangs(preload: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload=preload)) as fleet, held_worker(fleet, 20):
        os.kill(fleet.pid, signal.SIGKILL)
        assert fleet.is_gone_within(GONE_SECONDS), names(fleet)


def test_the_workers_of_every_code_end_with_the_master(tmp_path: Path) -> None:
    """Also when they are not loaded any more as they were at the start."""
    site = Site(tmp_path, preload="on")
    with serving(site) as fleet:
        site.write_ini(preload="off")
        fleet.reload()
        with held_worker(fleet, 20):
            os.kill(fleet.pid, signal.SIGKILL)
            assert fleet.is_gone_within(GONE_SECONDS), names(fleet)


def test_a_guard_that_dies_is_named_once_and_missed_by_nobody(tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload="off")) as fleet:
        (guard,) = [member.pid for member in fleet.members() if member.name == "waitressd-guard"]
        before = fleet.workers(2).keys()
        os.kill(guard, signal.SIGKILL)
        fleet.wait_for(rf"WARNING \d+ the guard \(pid {guard}\) died: signal 9 \(SIGKILL\)")
        assert fleet.workers(2).keys() == before
        fleet.reload()
        assert fleet.terminate(10) == 0
        assert fleet.output.count("the guard") == 1, fleet.output
        assert fleet.is_gone_within(0.5), fleet.members()


def test_a_reload_under_way_does_not_outlive_the_master(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet:
        site.write(2, "time.sleep(20)")
        mark = fleet.mark()
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: len(fleet.members()) == 5), (fleet.since(mark), names(fleet))
        os.kill(fleet.pid, signal.SIGKILL)
        assert fleet.is_gone_within(GONE_SECONDS), names(fleet)
        assert not re.search(RELOADED, fleet.since(mark))
