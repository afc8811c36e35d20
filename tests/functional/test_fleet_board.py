"""What a worker had in hand that hangs, is stopped or was killed can be read from outside."""

import contextlib
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.admin import ask
from tests.support.client import Client
from tests.support.fleets import DIED, Fleet, needs_a_fleet, serving
from tests.support.site import Site
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet


@contextlib.contextmanager
def one_worker(folder: Path, **settings: Any) -> Iterator[tuple[Fleet, int]]:
    """A fleet of one worker, and its process id."""
    with serving(Site(folder, workers=1, supervise="true", **settings)) as fleet:
        (pid,) = fleet.workers(1)
        yield fleet, pid


def begin(fleet: Fleet, stack: contextlib.ExitStack, *paths: str) -> list[Client]:
    """Have requests begun, each on a connection of its own; where they are is not waited for."""
    clients = [stack.enter_context(Client(fleet.address)) for _ in paths]
    for client, path in zip(clients, paths, strict=True):
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    return clients


def stacks_of(fleet: Fleet, pid: int, wanted: str) -> str:
    """Ask the fleet for its stacks, as a person would, until the log has what is wanted; return what it said then."""
    mark = fleet.mark()
    fleet.signal(signal.SIGQUIT)
    with contextlib.suppress(AssertionError):
        fleet.wait_for(rf"the stacks of worker 1 \(pid {pid}\)[^$]*{wanted}", mark, 1)
    return fleet.since(mark)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV])
def test_a_death_names_some_of_the_requests_that_it_cost_and_counts_the_others(
    how: signal.Signals, tmp_path: Path
) -> None:
    with one_worker(tmp_path) as (fleet, pid), contextlib.ExitStack() as stack:
        begin(fleet, stack, *(f"/sleep/600?secret={n}" for n in range(8)))
        for _ in range(40):
            if stacks_of(fleet, pid, "sleep/600").count("[GET /sleep/600,") == 8:
                break
        os.kill(pid, how)
        line = fleet.wait_for(rf"{DIED}.*{how.name}.*")[0]
        assert line.count("GET /sleep/600 (") == 4, line
        assert re.search(
            r"; it had in hand (GET /sleep/600 \([\d.]+ s\), ){3}GET /sleep/600 \([\d.]+ s\) and 4 more;", line
        )
        assert "secret" not in fleet.output


@pytest.mark.parametrize("preload", ["on", "off"])
def test_a_request_that_ends_its_process_is_named(preload: str, tmp_path: Path) -> None:
    with one_worker(tmp_path, preload=preload) as (fleet, _), contextlib.ExitStack() as stack:
        begin(fleet, stack, "/exit/7")
        line = fleet.wait_for(rf"{DIED}.*exit status 7.*")[0]
        assert re.search(r"; it had in hand GET /exit/7 \(0\.\d s\);", line), line
        fleet.workers(1)
        assert fleet.terminate() == 0
        assert fleet.output.count("it had in hand") == 1


def test_the_stacks_of_a_worker_that_holds_the_interpreter_lock_are_in_the_log(tmp_path: Path) -> None:
    with one_worker(tmp_path) as (fleet, pid), contextlib.ExitStack() as stack:
        begin(fleet, stack, "/hold/600?secret=1")
        found = ""
        for _ in range(40):
            found = stacks_of(fleet, pid, "hold/600")
            if "[GET /hold/600," in found:
                break
        assert re.search(
            r"Thread 0x\w+ .*\[GET /hold/600, [\d.]+ s\] \(most recent call first\):\n  File .*shop\.py", found
        )
        os.kill(pid, signal.SIGKILL)
        # The request before it is answered, and its thread may not have got the interpreter since to say so.
        died = fleet.wait_for(rf"{DIED}.*")[0]
        assert re.search(r"; it had in hand (GET /who \([\d.]+ s\), )?GET /hold/600 \(", died)


def document(path: str, target: str) -> dict[str, Any]:
    with Client(path) as client:
        found: dict[str, Any] = json.loads(ask(client, target, host="localhost").body)
        return found


def running(path: str, target: str) -> list[dict[str, Any]]:
    """Return the requests of those that are in hand, as the admin address lists them."""
    rows: list[dict[str, Any]] = document(path, target).get("requests", [])
    return rows


def test_of_a_worker_that_holds_the_interpreter_lock_its_request_and_its_stack_are_shown(tmp_path: Path) -> None:
    path = f"{tmp_path}/admin.sock"
    with one_worker(tmp_path, admin_listen=f"unix:{path}") as (fleet, pid), contextlib.ExitStack() as stack:
        begin(fleet, stack, "/hold/600?secret=1")
        assert wait_until(lambda: [row["target"] for row in running(path, "/requests")] == ["/hold/600"])
        found = document(path, "/requests?stack=1")
        (row,), (worker,) = found["requests"], found["workers"]
        assert (worker["answered"], worker["pid"], worker["figures"]["stage"]) == (False, pid, "serving")
        assert row["place"].startswith("shop.py:")
        assert row["place"].endswith(" page")
        assert row["stack"][-1]["own"]
        assert document(path, f"/requests/{row['id']}")["place"] == row["place"]
        (thread,) = [each for each in document(path, "/threads?stack=1")["threads"] if each["request"] == row["id"]]
        assert thread["stack"]
        assert "secret" not in json.dumps(found)
        assert "the stacks of worker" not in fleet.output, "who asks is given them, and the log is not filled"


def test_of_a_worker_that_is_stopped_its_requests_are_shown_and_that_it_is(tmp_path: Path) -> None:
    path = f"{tmp_path}/admin.sock"
    with one_worker(tmp_path, admin_listen=f"unix:{path}") as (fleet, pid), contextlib.ExitStack() as stack:
        (client,) = begin(fleet, stack, "/sleep/1")
        assert wait_until(lambda: len(running(path, "/requests")) == 1)
        os.kill(pid, signal.SIGSTOP)
        found = document(path, "/requests?stack=1")
        assert [row["target"] for row in found["requests"]] == ["/sleep/1"]
        assert "is stopped" in found["stacks_missing"]
        os.kill(pid, signal.SIGCONT)
        assert client.receive().status == 200
        assert wait_until(lambda: document(path, "/requests")["workers"][0]["answered"])
        assert fleet.terminate() == 0
        assert "the stacks of worker" not in fleet.output
