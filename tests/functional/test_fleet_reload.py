"""SIGHUP reads file and code anew: what starts replaces what runs and loses nothing; what does not is refused."""

import os
import re
import signal
import socket
import time
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client
from tests.support.fleets import MOVED_AT_MOST, REFUSED, RELOADED, ROLLED_BACK, Fleet, needs_a_fleet, serving, started
from tests.support.load import Load
from tests.support.servers import free_port
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

HANGS_AT_BIRTH: Final = """
forks = []
def hang():
    forks.append(1)
    if len(forks) == 2:  # the first is the process between the template and a worker
        time.sleep(1000)
os.register_at_fork(after_in_child=hang)
"""
NEVER_RETURNS: Final = "time.sleep(1000)"
# A thread that is started at import would make the workers load for themselves; this one begins with a request.
DIES_SOON: Final = """
import threading
dying = []
def at_request():
    if not dying:
        dying.append(threading.Timer(0.3, os.abort))
        dying[0].daemon = True
        dying[0].start()
"""


def versions(fleet: Fleet, count: int = 2) -> set[int]:
    return {worker["version"] for worker in fleet.workers(count).values()}


@pytest.mark.parametrize("preload", ["on", "off"])
@pytest.mark.parametrize("way", ["config", "module", "python -m", "pserve"])
def test_new_code_replaces_old_code_and_nothing_is_lost(way: str, preload: str, tmp_path: Path) -> None:
    site = Site(tmp_path, preload=preload)
    with serving(site, way) as fleet:
        load = Load(fleet.address)
        with load.running():
            assert wait_until(lambda: len(load.books.answers) > 200)
            for version in (2, 3):
                site.write(version)
                fleet.reload()
                done = time.monotonic()
                assert wait_until(partial(load.books.last_of, version))
                time.sleep(0.3)
                assert load.books.last_of(version - 1) < done
        assert load.books.trouble() == [], fleet.output
        assert load.books.versions().keys() == {1, 2, 3}
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()


@pytest.mark.parametrize("framework", ["pyramid", "django", "flask"])
def test_every_framework_is_reloaded(framework: str, tmp_path: Path) -> None:
    pytest.importorskip("pyramid")
    pytest.importorskip(framework)
    site = Site(tmp_path, framework)
    with serving(site, "pserve") as fleet:
        site.write(2)
        fleet.reload()
        assert versions(fleet) == {2}
        assert fleet.terminate(10) == 0


def test_under_serve_workers_are_replaced_from_the_same_code_and_it_says_so(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site, "serve") as fleet:
        before = fleet.workers(2)
        site.write(2)
        mark = fleet.mark()
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: not before.keys() & {member.pid for member in fleet.members()}), fleet.since(mark)
        assert versions(fleet) == {1}
        assert re.search(r"same|serve", fleet.since(mark)), fleet.since(mark)
        assert fleet.terminate(10) == 0


def test_the_file_is_read_anew(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet, socket.create_server(("127.0.0.1", 0)) as other:
        first = fleet.address
        added = other.getsockname()[1]
        other.close()
        site.write_ini(workers=3, listen=f"127.0.0.1:0\n    127.0.0.1:{added}")
        fleet.reload()
        assert len(fleet.workers(3)) == 3
        for address in (first, ("127.0.0.1", added)):
            with Client(address) as client:
                assert client.get("/quick").status == 200
        site.write_ini(workers=1, listen=f"127.0.0.1:{added}", supervise="true")
        fleet.reload()
        with Client(("127.0.0.1", added)) as client:
            assert client.get("/quick").status == 200
        workers = [member for member in fleet.members() if re.fullmatch(r"waitressd-w\d+", member.name)]
        assert len(workers) == 1
        assert fleet.terminate(10) == 0


def test_a_port_that_the_system_chose_stays_the_same(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet:
        for version in (2, 3):
            site.write(version)
            fleet.reload()
            assert versions(fleet) == {version}


# -- what does not start


def refused(fleet: Fleet, site: Site, words: str) -> None:
    """Reload and find it refused with these words, nothing lost, and the same processes as before."""
    before = fleet.workers(2).keys()
    load = Load(fleet.address)
    with load.running():
        assert wait_until(lambda: len(load.books.answers) > 100)
        log = fleet.reload(REFUSED)
        assert wait_until(lambda: re.search(words, log) or re.search(words, fleet.output)), fleet.output
        time.sleep(0.2)
    assert load.books.trouble() == [], fleet.output
    assert load.books.versions().keys() == {1}
    assert fleet.workers(2).keys() == before
    assert wait_until(lambda: len(fleet.members()) == 4), fleet.members()
    site.write_ini(threads=8)
    site.write(2)
    fleet.reload()
    assert versions(fleet) == {2}
    assert fleet.terminate(10) == 0


@pytest.mark.parametrize("way", ["config", "pserve"])
def test_a_wrong_value_is_refused(way: str, tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site, way) as fleet:
        site.write_ini(threads="many")
        refused(fleet, site, r"threads.*many|many.*threads")


@pytest.mark.parametrize("way", ["config", "pserve", "module"])
def test_an_import_error_is_refused(way: str, tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site, way) as fleet:
        site.write(2, "import a_module_that_nobody_has")
        refused(fleet, site, "a_module_that_nobody_has")


def test_an_application_that_ends_the_process_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet:
        site.write(2, "sys_exit = __import__('sys').exit(5)")
        refused(fleet, site, "5")


def test_an_import_that_never_returns_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, worker_boot_timeout=2)
    with serving(site) as fleet:
        site.write(2, NEVER_RETURNS)
        refused(fleet, site, r"2(\.0)? s|worker_boot_timeout")


def test_workers_that_never_become_ready_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, worker_boot_timeout=5, preload="on")
    with serving(site) as fleet:
        site.write(2, HANGS_AT_BIRTH)
        before = fleet.workers(2).keys()
        fleet.reload(f"{REFUSED}|{ROLLED_BACK}")
        assert versions(fleet) == {1}
        assert before & fleet.workers(2).keys()
        site.write(3)
        fleet.reload()
        assert versions(fleet) == {3}
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(2), fleet.members()


def test_workers_that_die_at_birth_are_refused(tmp_path: Path) -> None:
    site = Site(tmp_path, preload="on")
    with serving(site) as fleet:
        site.write(2, "os.register_at_fork(after_in_child=lambda: os._exit(9))")
        before = fleet.workers(2).keys()
        fleet.reload(f"{REFUSED}|{ROLLED_BACK}")
        assert versions(fleet) == {1}
        assert before & fleet.workers(2).keys()
        site.write(2)
        fleet.reload()
        assert versions(fleet) == {2}


def test_an_address_in_use_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet, socket.create_server(("127.0.0.1", 0)) as other:
        old, taken = site.settings["listen"], f"127.0.0.1:{other.getsockname()[1]}"
        site.write_ini(listen=f"{old}\n    {taken}")
        before = fleet.workers(2).keys()
        log = fleet.reload(REFUSED)
        assert taken in log
        assert fleet.workers(2).keys() == before
        site.write_ini(listen=old)
        site.write(2)
        fleet.reload()
        assert versions(fleet) == {2}
        assert fleet.terminate(10) == 0


def test_a_dropped_address_refuses_at_once_and_is_open_again_after_the_way_back(tmp_path: Path) -> None:
    """While nobody accepts there, clients would wait for nobody."""
    site = Site(tmp_path, preload="on")
    # No other test listens at this one, also while nobody does.
    kept, dropped = site.settings["listen"], ("127.0.0.2", free_port())
    site.write_ini(listen=f"{kept}\n    127.0.0.2:{dropped[1]}")
    with serving(site) as fleet:
        with Client(dropped) as client:
            assert client.get("/").status == 200
        site.write_ini(listen=kept)
        site.write(2)
        fleet.reload()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(dropped)
        mark = fleet.mark()
        for pid in fleet.workers(2):
            os.kill(pid, signal.SIGKILL)
        fleet.wait_for(ROLLED_BACK, mark)
        with Client(dropped) as client:
            assert client.get("/").status == 200
        assert versions(fleet) == {1}
        assert fleet.terminate(10) == 0


def test_workers_that_die_young_are_rolled_back(tmp_path: Path) -> None:
    site = Site(tmp_path, preload="on")
    with serving(site) as fleet:
        site.write(2, at_request=DIES_SOON)
        mark = fleet.mark()
        fleet.signal(signal.SIGHUP)
        load = Load(fleet.address)
        with load.running():
            fleet.wait_for(ROLLED_BACK, mark)
            done = time.monotonic()
            time.sleep(1)
        books = load.stop()
        assert {answer.version for answer in books.answers if answer.sent > done + 0.5} == {1}
        dead = {answer.pid for answer in books.answers if answer.version == 2}
        losses = [loss for loss in books.lost + books.silent if loss.pid not in dead | {0}]
        gone = {answer.pid for answer in books.answers} - {member.pid for member in fleet.members()}
        # Connections of those that were replaced had moved to those that died, and a few of the others.
        assert len([loss for loss in losses if loss.pid not in gone]) <= MOVED_AT_MOST
        assert versions(fleet) == {1}
        site.write(3)
        fleet.reload()
        assert versions(fleet) == {3}
        assert fleet.terminate(10) == 0


# -- reloads at awkward moments


def test_a_signal_during_a_reload_is_remembered_once(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet:
        site.write(2, "time.sleep(0.7)")
        mark = fleet.mark()
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: len(fleet.members()) > 4)
        site.write(3)
        for _ in range(3):
            fleet.signal(signal.SIGHUP)
            time.sleep(0.05)
        assert wait_until(lambda: len(re.findall(RELOADED, fleet.since(mark))) >= 2, 20), fleet.output
        assert wait_until(lambda: versions(fleet) == {3})
        time.sleep(0.5)
        assert len(re.findall(RELOADED, fleet.since(mark))) == 2, fleet.since(mark)
        # The template before the last stays while the new code proves itself.
        assert wait_until(lambda: len(fleet.members()) <= 5), fleet.members()


def test_a_reload_that_is_asked_for_while_the_application_is_loaded_is_not_forgotten(tmp_path: Path) -> None:
    site = Site(tmp_path)
    # What a deployment does: it writes the new code, and does not know that the old one is still being loaded.
    waits = "from pathlib import Path\nPath('begun').touch()\nwhile not Path('renewed').exists(): time.sleep(0.01)"
    site.write(1, waits)
    with started(site) as fleet:
        assert wait_until((tmp_path / "begun").exists)
        site.write(2)
        fleet.signal(signal.SIGHUP)
        (tmp_path / "renewed").touch()
        fleet.wait_for(RELOADED)
        assert versions(fleet) == {2}
        assert fleet.terminate(10) == 0


@pytest.mark.parametrize("preload", ["on", "off"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_to_the_whole_group_ends_nobody_who_loads(
    number: signal.Signals, preload: str, tmp_path: Path
) -> None:
    """A service manager signals all of a service, if nobody tells it otherwise."""
    site = Site(tmp_path, preload=preload)
    with serving(site) as fleet:
        site.write(2, "print('loading', flush=True); time.sleep(0.5)")
        mark = fleet.mark()
        before = len(fleet.members())
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: len(fleet.members()) > before)
        fleet.signal_group(number)  # in its first moment
        fleet.wait_for("loading", mark)
        fleet.signal_group(number)
        fleet.wait_for(RELOADED, mark)
        assert wait_until(lambda: versions(fleet) == {2})
        assert not re.search("died|refused|did not start", fleet.since(mark)), fleet.since(mark)


def test_a_stop_during_a_reload(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet:
        site.write(2, NEVER_RETURNS)
        fleet.signal(signal.SIGHUP)
        assert wait_until(lambda: len(fleet.members()) > 4)
        assert fleet.terminate(5) == 0
        assert fleet.is_gone_within(0.5), fleet.members()


def test_requests_that_take_long_are_ended_and_hold_up_nobody(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with serving(site) as fleet, Client(fleet.address) as client:
        client.send(b"GET /sleep/1.5 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.is_silent(0.2)
        site.write(2)
        fleet.signal(signal.SIGHUP)
        answer = client.receive()
        assert (answer.status, answer.body.split()[0]) == (200, b"1")
        assert wait_until(lambda: versions(fleet) == {2})


def test_a_link_to_a_release_is_followed_anew(tmp_path: Path) -> None:
    """Deployments switch a link `current` from one folder to the next."""
    releases = []
    for version in (1, 2):
        folder = tmp_path / f"release-{version}"
        folder.mkdir()
        Site(folder).write(version)
        releases.append(folder)
    current = tmp_path / "current"
    current.symlink_to(releases[0])
    site = Site(current)
    with serving(site, environment={"PWD": str(current)}) as fleet:
        assert versions(fleet) == {1}
        (tmp_path / "next").symlink_to(releases[1])
        (tmp_path / "next").rename(current)
        fleet.reload()
        assert versions(fleet) == {2}
        assert {worker["folder"] for worker in fleet.workers(2).values()} == {str(releases[1])}


def test_a_reload_to_one_worker_without_supervise_keeps_master_and_template(tmp_path: Path) -> None:
    """What leads to the master is no hazard that the application has left."""
    site = Site(tmp_path)
    with serving(site) as fleet:
        site.write_ini(workers=1)
        assert "preload is off" not in fleet.reload()
        names = {member.name for member in fleet.members()}
        assert {"waitressd-main", "waitressd-code2", "waitressd-w1"} <= names
