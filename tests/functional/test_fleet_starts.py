"""A fleet starts by every way in and with every framework, is seen in `ps`, and says what does not start."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.fleets import needs_a_fleet, serving, started
from tests.support.site import WAYS, Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

BROKEN: Final = "import a_module_that_nobody_has"
WITH_INI: Final = ("config", "pserve")


def statuses(found: dict[int, dict[str, Any]]) -> tuple[set[int], set[bool]]:
    """Return the places of the workers and whether each told its application of the others."""
    return {worker["number"] for worker in found.values()}, {worker["multiprocess"] for worker in found.values()}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_in_serves_with_all_workers_and_stops_with_status_0(way: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=3), way) as fleet:
        found = fleet.workers(3)
        assert statuses(found) == ({1, 2, 3}, {True})
        assert fleet.pid not in found
        assert all(worker["parent"] == fleet.pid for worker in found.values())
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()
        assert "Traceback" not in fleet.output
        assert ("behind serve" in fleet.output) is (way == "serve")


@pytest.mark.parametrize("framework", ["pyramid", "django", "flask"])
@pytest.mark.parametrize("way", ["config", "pserve"])
def test_every_framework(framework: str, way: str, tmp_path: Path) -> None:
    pytest.importorskip("pyramid")
    pytest.importorskip(framework)
    with serving(Site(tmp_path, framework), way) as fleet:
        assert statuses(fleet.workers(2)) == ({1, 2}, {True})
        assert fleet.terminate(10) == 0


@pytest.mark.parametrize("preload", ["on", "off"])
def test_preload_on_and_off(preload: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload=preload)) as fleet:
        assert statuses(fleet.workers(2)) == ({1, 2}, {True})
        templates = [member for member in fleet.members() if member.name.startswith("waitressd-code")]
        assert len(templates) == (1 if preload == "on" else 0)
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()


def test_names_in_ps(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=2)) as fleet:
        assert [member.name for member in fleet.members() if member.pid == fleet.pid] == ["waitressd-main"]
        assert wait_until(
            lambda: (
                sorted(member.name for member in fleet.members())
                == ["waitressd-code1", "waitressd-main", "waitressd-w1", "waitressd-w2"]
            )
        ), fleet.members()


def test_the_master_is_another_program_without_the_application(tmp_path: Path) -> None:
    pytest.importorskip("pyramid")
    with serving(Site(tmp_path, "pyramid"), "pserve") as fleet:
        sizes = {member.name: member.pss_bytes for member in fleet.members()}
        (master,) = [member for member in fleet.members() if member.pid == fleet.pid]
        assert "fleet" in master.command
        assert "production.ini" in master.command
        # PyPy itself takes 60 MB.
        assert sizes["waitressd-main"] < (25_000_000 if sys.implementation.name == "cpython" else 80_000_000), sizes


def test_one_worker_is_the_process_itself(tmp_path: Path) -> None:
    site = Site(tmp_path, workers=1)
    with started(site) as fleet:
        fleet.wait_for(r"Serving on \S+")
        assert wait_until(lambda: fleet.who()["pid"] == fleet.pid)
        found = fleet.who()
        assert (found["number"], found["multiprocess"]) == (0, False)
        assert [member.pid for member in fleet.members()] == [fleet.pid]
        assert fleet.terminate(10) == 0


def test_a_single_worker_that_is_supervised(tmp_path: Path) -> None:
    with serving(Site(tmp_path, workers=1, supervise="true")) as fleet:
        (worker,) = fleet.workers(1).values()
        assert worker["pid"] != fleet.pid
        assert (worker["number"], worker["parent"]) == (1, fleet.pid)
        assert fleet.terminate(10) == 0


def test_workers_know_nothing_of_the_service_manager_and_of_their_master(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "30000000", "OTHER": "kept"}
    for preload in ("on", "off"):
        with serving(Site(tmp_path, preload=preload), environment=environment) as fleet:
            for worker in fleet.workers(2).values():
                names = set(worker["environment"])
                assert "OTHER" in names
                assert not [
                    name for name in names if name.startswith(("NOTIFY_", "WATCHDOG_", "LISTEN_", "WAITRESSD_"))
                ]


def test_a_thread_of_the_application_makes_each_worker_load_for_itself(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write(1, "threading.Thread(target=threading.Event().wait, daemon=True, name='apscheduler').start()")
    with serving(site) as fleet:
        assert re.search(r"preload is off: .*apscheduler", fleet.output), fleet.output
        assert statuses(fleet.workers(2)) == ({1, 2}, {True})
        assert not [member for member in fleet.members() if member.name.startswith("waitressd-code")]
        assert fleet.terminate(10) == 0
        assert fleet.is_gone_within(0.5), fleet.members()


# -- what does not start


@pytest.mark.parametrize("preload", ["auto", "on", "off"])
@pytest.mark.parametrize("way", WAYS)
def test_an_import_error_at_the_first_start_is_one_traceback_and_status_1(
    way: str, preload: str, tmp_path: Path
) -> None:
    site = Site(tmp_path, preload=preload)
    site.write(1, BROKEN)
    with started(site, way) as fleet:
        assert fleet.wait(20) == 1
        assert fleet.output.count("Traceback") == 1, fleet.output
        assert "a_module_that_nobody_has" in fleet.output
        assert not fleet.members()


@pytest.mark.parametrize("way", WITH_INI)
@pytest.mark.parametrize(
    "wrong", [{"threads": "many"}, {"workers": "0"}, {"workers": "-1"}, {"workers": "two"}, {"preload": "perhaps"}]
)
def test_a_wrong_file_is_status_2_also_through_pserve(way: str, wrong: dict[str, str], tmp_path: Path) -> None:
    site = Site(tmp_path, **wrong)
    with started(site, way) as fleet:
        assert fleet.wait(20) == 2
        (name,) = wrong
        assert name in fleet.output
        assert not fleet.members()


@pytest.mark.parametrize("way", WITH_INI)
def test_workers_without_a_master_are_refused(way: str, tmp_path: Path) -> None:
    with started(Site(tmp_path, workers=2, supervise="false"), way) as fleet:
        assert fleet.wait(20) == 2
        assert "supervise" in fleet.output


@pytest.mark.parametrize("way", WAYS)
def test_an_address_in_use_is_status_1_and_one_message(way: str, tmp_path: Path) -> None:
    with serving(Site(tmp_path)) as fleet:
        taken = f"127.0.0.1:{fleet.address[1]}"
        other = Site(tmp_path, listen=taken)
        with started(other, way) as second:
            assert second.wait(20) == 1
            assert taken in second.output
            assert not second.members()


# A worker that dies while it boots: threads of the application cannot do that, a fork's hook can.
DIES_AT_BIRTH: Final = "os.register_at_fork(after_in_child=lambda: os._exit(9))"


def test_workers_that_die_at_birth_at_the_first_start_end_it_with_status_1(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.write(1, DIES_AT_BIRTH)
    with started(site) as fleet:
        assert fleet.wait(20) == 1
        assert fleet.is_gone_within(0.5)


def test_an_import_that_never_returns_at_the_first_start(tmp_path: Path) -> None:
    """The process loads its application as a single one does: what hangs there hangs, and a signal ends it."""
    site = Site(tmp_path)
    site.write(1, "print('importing', flush=True); time.sleep(1000)")
    with started(site) as fleet:
        fleet.wait_for("importing")
        fleet.terminate(10)
        assert fleet.is_gone_within(0.5)


def test_under_hupper_the_number_counts_as_one(tmp_path: Path) -> None:
    pytest.importorskip("hupper")
    pytest.importorskip("pyramid")
    site = Site(tmp_path, workers=4)

    def command(way: str, original: Callable[[str], list[str]] = site.command) -> list[str]:
        return [*original(way), "--reload"]

    site.command = command  # type: ignore[method-assign]  # one more option for this test alone
    with started(site, "pserve") as fleet:
        fleet.wait_for(r"Serving on \S+")
        assert wait_until(lambda: fleet.who()["number"] == 0)
        assert "under a reloader" in fleet.output
        assert fleet.who()["multiprocess"] is False
        fleet.terminate(10)


@pytest.mark.skipif(sys.platform != "linux", reason="affinity is asked of Linux")
def test_auto_knows_the_processors_of_this_process(tmp_path: Path) -> None:
    site = Site(tmp_path, workers="auto")
    with started(site, "config") as fleet:
        fleet.wait_for(r"Serving on \S+")
        assert wait_until(lambda: fleet.who()["pid"])
        assert "workers = auto" in fleet.output


def test_a_healthy_start_says_where_it_serves_and_with_how_many_workers(tmp_path: Path) -> None:
    with started(Site(tmp_path, workers=3)) as fleet:
        fleet.wait_for("workers serve")
        said = re.findall(r"\w+ \d+ (.*)", fleet.output)
        assert [line.partition(" http")[0] for line in said] == ["Serving on", "3 workers serve"]
