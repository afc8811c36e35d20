"""A worker that hangs is found, explained and replaced; one that is only stopped for a moment, or busy, is left alone.

What is worn is replaced without a loss, and signals make it more workers or fewer.
"""

import contextlib
import json
import os
import signal
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from tests.support.client import Client
from tests.support.fleets import Fleet, needs_a_fleet, serving
from tests.support.load import Load
from tests.support.processes import Member
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

REGEX: Final = """
def at_request():
    pass

import re
plain_page = page

def page(path, environ):
    if path == "/regex":
        re.match("(a+)+$", "a" * 64 + "b")
    return plain_page(path, environ)
"""
STALLED: Final = (
    r"ERROR \d+ worker \d \(pid (\d+), generation 1\) has stalled: its event loop has not turned for \d+\.\d s; "
    r"it had in hand GET /regex \(\d+\.\d s\); it is killed, with its stacks in the log; it is replaced at once"
)
STUCK: Final = (
    r"ERROR \d+ worker \d \(pid (\d+), generation 1\) is stuck: its threads are all busy and have ended no request for "
    r"\d+\.\d s, and 1 more wait; it had in hand GET /sleep/1000 \(\d+\.\d s\), GET /sleep/1000 .*; "
    r"it is set aside, and may finish within 10 s; it is replaced at once"
)


def workers_of(fleet: Fleet) -> list[Member]:
    return [member for member in fleet.members() if member.name.startswith("waitressd-w")]


def test_a_regular_expression_that_never_ends_costs_one_worker_and_is_named(tmp_path: Path) -> None:
    site = Site(tmp_path, worker_stall_timeout=1, preload="on")
    site.write(1, at_request=REGEX)
    with serving(site) as fleet:
        before = fleet.workers(2)
        with Client(fleet.address) as client:
            client.send(b"GET /regex HTTP/1.1\r\nHost: a\r\n\r\n")
            victim = int(fleet.wait_for(STALLED)[1])
        assert victim in before
        fleet.wait_for(r'shop\.py", line \d+ in page')
        assert wait_until(lambda: victim not in {member.pid for member in fleet.members()})
        after = fleet.workers(2)
        assert set(after) & set(before) == set(before) - {victim}
        assert "died" not in fleet.output
        assert fleet.terminate(10) == 0


def test_a_worker_that_is_stopped_for_less_than_the_timeout_stays(tmp_path: Path) -> None:
    with serving(Site(tmp_path, worker_stall_timeout=2, worker_stuck_timeout=2, preload="on")) as fleet:
        before = fleet.workers(2)
        for pid in before:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)  # that is what happens
        for pid in before:
            os.kill(pid, signal.SIGCONT)
        assert fleet.workers(2).keys() == before.keys()
        assert "stalled" not in fleet.output
        assert fleet.terminate(10) == 0


def test_a_worker_that_is_stopped_for_longer_is_replaced(tmp_path: Path) -> None:
    with serving(Site(tmp_path, worker_stall_timeout=1, preload="on")) as fleet:
        victim = min(fleet.workers(2))
        os.kill(victim, signal.SIGSTOP)
        fleet.wait_for(rf"\(pid {victim}, generation 1\) has stalled")
        assert wait_until(lambda: victim not in {member.pid for member in fleet.members()})
        assert victim not in fleet.workers(2)
        assert fleet.terminate(10) == 0


def test_threads_that_wait_for_ever_while_requests_wait_are_set_aside(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"threads": 2, "worker_stuck_timeout": 1, "shutdown_timeout": 1, "preload": "on"}
    with serving(Site(tmp_path, **settings)) as fleet, contextlib.ExitStack() as stack:
        by_worker: dict[int, list[Client]] = defaultdict(list)
        while not any(len(clients) == 3 for clients in by_worker.values()):
            client = stack.enter_context(Client(fleet.address))
            by_worker[json.loads(client.get("/who").body)["pid"]].append(client)
        victim, clients = max(by_worker.items(), key=lambda item: len(item[1]))
        for client, path in zip(clients, ("/sleep/1000", "/sleep/1000", "/who"), strict=True):
            client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert int(fleet.wait_for(STUCK)[1]) == victim
        fleet.wait_for(rf"the stacks of worker \d \(pid {victim}\)[^$]*shop\.py")
        assert victim not in fleet.workers(2)
        assert victim in {member.pid for member in fleet.members()}
        assert fleet.terminate(20) == 0


def test_threads_that_are_busy_while_nobody_waits_are_left_alone(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"workers": 1, "supervise": "true", "threads": 1, "worker_stuck_timeout": 1}
    with serving(Site(tmp_path, **settings)) as fleet, Client(fleet.address) as client:
        assert client.get("/sleep/3").status == 200
        assert "stuck" not in fleet.output
        assert fleet.terminate(10) == 0


def test_workers_that_have_handled_enough_are_renewed_one_by_one_and_nothing_is_lost(tmp_path: Path) -> None:
    """It takes more than ten seconds: no worker is renewed before it has served so long."""
    with serving(Site(tmp_path, worker_max_requests=500, preload="on")) as fleet:
        before = set(fleet.workers(2))
        load = Load(fleet.address, kept=20, single=5)
        with load.running():
            fleet.wait_for(r"is renewed: \d+ requests \(worker_max_requests\)[^$]*is renewed: \d+ requests", seconds=60)
            assert wait_until(lambda: not before & {member.pid for member in fleet.members()}, 20)
        books = load.stop()
        assert books.trouble() == []
        assert len(fleet.workers(2)) == 2
        assert fleet.terminate(10) == 0


def test_signals_make_it_one_worker_more_or_less_until_the_next_reload(tmp_path: Path) -> None:
    with serving(Site(tmp_path, preload="on")) as fleet:
        before = fleet.workers(2)
        fleet.signal(signal.SIGTTIN)
        fleet.wait_for(r"SIGTTIN: 3 workers from now on, until the next reload")
        assert fleet.workers(3).keys() > before.keys()
        for left in ("2 workers", "1 worker"):
            fleet.signal(signal.SIGTTOU)
            fleet.wait_for(f"SIGTTOU: {left} from now on")
        assert wait_until(lambda: len(workers_of(fleet)) == 1)
        fleet.signal(signal.SIGTTOU)
        fleet.wait_for(r"SIGTTOU: it stays at 1 worker")
        fleet.reload()
        assert len(fleet.workers(2)) == 2
        assert wait_until(lambda: len(workers_of(fleet)) == 2)
        assert fleet.terminate(10) == 0
