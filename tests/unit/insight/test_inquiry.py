"""What a master asks its workers, which are admin addresses of this process here."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from tests.support.admin import ask, listening, opened
from tests.support.client import Client
from tests.support.insightfleet import PLACE, Fleet, document, question
from waitressd.config.insighttable import CONTROLS, EXPOSABLE
from waitressd.inhand import InHand
from waitressd.insight.addresses import MASTERS
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.crowd import Member, Reply
from waitressd.insight.documents import answer
from waitressd.insight.fleet import FleetEndpoints
from waitressd.insight.listener import AdminListener
from waitressd.insight.samples import Samples, as_speedscope
from waitressd.insight.silent import Held


def worker_endpoints(number: int) -> list[Endpoint]:
    """Return what a worker answers: itself."""

    def requests(query: Query) -> Answer:
        if "wrong" in query.parameters:
            raise BadQuestion("That is wrong.")
        rows = [{"id": f"{number}-1-1", "age_seconds": float(number)}]
        return answer({"at": "x", "total": 1, "stacks_missing": None, "requests": iter(rows)})

    def one(query: Query) -> Answer:
        if query.path != f"/requests/{number}-1-1":
            return answer({"error": "no", "setting": None}, 404)
        return answer({"id": query.path.rpartition("/")[2]})

    def profile(query: Query) -> Answer:
        if query.parameters.get("format") != "speedscope":
            return Answer(200, "text/plain", [b"%d\n" % number])
        samples = Samples()
        samples.add("/", [], float(number))
        return Answer(200, "application/json", as_speedscope(samples))

    return [
        Endpoint("/requests", "requests", requests),
        Endpoint("/requests/", "requests", one, has_children=True),
        Endpoint("/profile", "profile", profile),
        Endpoint("/control/log", "control", lambda query: answer({"effect": "done", "by": number})),
    ]


def pass_on(admin: AdminListener, fd: int) -> bool:
    admin.adopt(socket.socket(fileno=os.dup(fd)), MASTERS)
    return True


@contextmanager
def mastering(fleet: Fleet, *workers: int) -> Iterator[Client]:
    """Answer for a fleet of such workers."""
    with ExitStack() as stack:
        for number in workers:
            admin = stack.enter_context(opened([], *worker_endpoints(number)))
            fleet.known.append(Member(number, 100 + number, 1, partial(pass_on, admin)))
        endpoints = FleetEndpoints(fleet, PLACE).endpoints()
        exposed, control = frozenset(EXPOSABLE), frozenset(CONTROLS)
        yield stack.enter_context(listening(*endpoints, exposed=exposed, control=control))


def asked(client: Client, path: str) -> tuple[int, dict[str, Any]]:
    response = ask(client, path)
    document: dict[str, Any] = json.loads(response.body)
    return response.status, document


def test_one_document_of_all_workers() -> None:
    with mastering(Fleet(), 1, 2) as client:
        status, found = asked(client, "/requests")
        assert (status, found["total"], found["server"], found["life"]) == (200, 2, "shop", "serving")
        assert [row["id"] for row in found["requests"]] == ["2-1-1", "1-1-1"]
        assert [(row["worker"], row["pid"], row["answered"]) for row in found["workers"]] == [
            (1, 101, True),
            (2, 102, True),
        ]


def test_one_worker_may_be_asked_for() -> None:
    with mastering(Fleet(), 1, 2) as client:
        _, found = asked(client, "/requests?worker=2")
        assert [row["id"] for row in found["requests"]] == ["2-1-1"]
        status, found = asked(client, "/requests?worker=3")
        assert (status, found["error"]) == (400, "worker is the number of a worker: 1, 2.")
        assert ask(client, "/profile?worker=1").body == b"1\n"
        assert ask(client, "/profile").body == b"1\n2\n"


def test_one_file_of_all_their_profiles() -> None:
    with mastering(Fleet(), 1, 2) as client:
        response = ask(client, "/profile?format=speedscope")
        assert [profile["weights"] for profile in json.loads(response.body)["profiles"]] == [[3.0]]
        assert (response.get("Content-Disposition") or "").endswith('speedscope.json"')


def test_a_request_is_asked_for_where_it_is() -> None:
    with mastering(Fleet(), 1, 2) as client:
        assert asked(client, "/requests/2-1-1") == (200, {"id": "2-1-1"})
        assert asked(client, "/requests/1-9-9")[0] == 404
        assert asked(client, "/requests/7-1-1")[0] == 404
        assert asked(client, "/requests/%0d%0aX:%20y")[0] == 404


def test_a_wrong_question_is_told_so_once() -> None:
    with mastering(Fleet(), 1, 2) as client:
        assert asked(client, "/requests?wrong=1") == (400, {"error": "That is wrong.", "setting": None})


def test_what_is_changed_is_changed_everywhere() -> None:
    answered = {"effect": "done", "by": 1}
    fleet = Fleet()
    with mastering(fleet, 1, 2):
        assert document(question(fleet, "/control/log", "POST", logger="root", level="DEBUG")) == answered


def test_a_silent_worker_is_a_row_and_a_finding() -> None:
    fleet = Fleet()
    endpoints = FleetEndpoints(fleet, PLACE)
    with mastering(fleet, 1):
        fleet.known.append(Member(2, 102, 1, lambda fd: True))  # it takes the connection, and closes it
        found = {each.path: each for each in endpoints.endpoints()}
        shown = document(found["/requests"].answer(Query("GET", "/requests", {}, "")))
        assert [(row["worker"], row["answered"]) for row in shown["workers"]] == [(1, True), (2, False)]
        endpoints.inquiry._heard[102] = time.monotonic() - 5
        again = document(found["/requests"].answer(Query("GET", "/requests", {}, "")))
        assert 5 <= again["workers"][1]["silent_seconds"] < 30


def silent_member(stacks: str = "", **held: Any) -> Member:
    request = InHand(time.monotonic() - 5, 0xFF, 4, 1, "GET", "/hang?secret=1")
    return Member(
        2,
        102,
        1,
        lambda fd: True,  # it takes the connection, and closes it
        lambda: Held({"looked_seconds": 3.0}, (request,), **held),
        lambda seconds: stacks,
    )


STACKS = 'Thread 0x00000000000000ff (most recent call first):\n  File "/srv/shop.py", line 7 in hang'


def test_of_a_silent_worker_is_shown_what_it_has_in_hand() -> None:
    fleet = Fleet()
    with mastering(fleet, 1) as client:
        fleet.known.append(silent_member(STACKS))
        _, found = asked(client, "/requests?stack=1")
        assert found["total"] == 2
        assert [row["id"] for row in found["requests"]] == ["2-4-1", "1-1-1"]
        assert found["requests"][0]["target"] == "/hang"
        assert found["requests"][0]["stack"][0]["function"] == "hang"
        assert [row["figures"] for row in found["workers"]] == [None, {"looked_seconds": 3.0}]
        _, found = asked(client, "/requests")
        assert (found["requests"][0]["place"], found["stacks_missing"]) == (None, None), "nobody has asked for stacks"
        status, found = asked(client, "/requests/2-4-1")
        assert (status, found["id"], found["place"]) == (200, "2-4-1", "/srv/shop.py:7 hang")


def test_where_nobody_answers_there_is_what_was_written() -> None:
    fleet = Fleet()
    fleet.known.append(silent_member(STACKS))
    found = document(question(fleet, "/threads", stack="1"))
    assert [(row["request"], row["worker"]) for row in found["threads"]] == [("2-4-1", 2)]
    assert question(fleet, "/connections").status == 503
    (text,) = FleetEndpoints(fleet, PLACE)._ask(Query("GET", "/threads", {}, "text/plain")).body
    assert text.startswith(b"Worker 2 does not answer. Thread 0x00000000000000ff")


def test_why_a_silent_worker_has_no_stacks_is_said() -> None:
    fleet = Fleet()
    fleet.known.append(silent_member(is_stopped=True))
    assert "is stopped" in document(question(fleet, "/threads", stack="1"))["stacks_missing"]
    fleet.known[:] = [silent_member()]
    assert "did not write" in document(question(fleet, "/requests", stack="1"))["stacks_missing"]


def test_a_finding_says_what_a_silent_worker_runs() -> None:
    fleet = Fleet()
    endpoints = FleetEndpoints(fleet, PLACE)
    reply = Reply(silent_member())
    endpoints.inquiry._heard[102] = time.monotonic() - 5
    (finding,) = endpoints.inquiry._silent([reply])
    assert finding.text.endswith("something may hold its interpreter lock. It has run GET /hang for 5.0 s.")
    assert finding.ids == ("2-4-1",)


def test_without_an_answer_there_is_none() -> None:
    fleet = Fleet()
    empty = question(fleet, "/requests")
    assert (empty.status, document(empty)["error"]) == (503, "There is no worker to ask.")
    fleet.known.append(Member(1, 101, 1, lambda fd: False))
    late = question(fleet, "/requests")
    assert (late.status, document(late)["error"]) == (503, "No worker has answered in time.")
