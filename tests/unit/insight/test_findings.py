"""Each finding appears at its threshold and not below it, in one sentence, and names the requests it is about."""

import re
from dataclasses import FrozenInstanceError, replace
from itertools import pairwise
from pathlib import Path
from typing import Final

import pytest

from waitressd.insight.findings import (
    SHOWN_IDS,
    TITLES,
    Clients,
    Finding,
    Leaving,
    Minute,
    SilentWorker,
    Situation,
    Task,
    Waiting,
    find,
    spell_seconds,
)

MANUAL: Final = Path(__file__).parents[3] / "docs" / "findings.rst"
PLACE: Final = "shop/reports.py:214 totals"


def tasks(
    count: int, *, client: str = "", place: str = "", unchanged: float = 0.0, overdue: bool = False
) -> list[Task]:
    return [Task(f"1-{number}-1", 40.0 - number, client, place, unchanged, overdue) for number in range(count)]


def situation(*running: Task, threads: int = 8, **others: object) -> Situation:
    return replace(Situation(threads=threads, tasks=running), **others)  # type: ignore[arg-type]  # a test's own words


def found(given: Situation) -> list[tuple[str, str]]:
    return [(finding.code, finding.text) for finding in find(given)]


CASES: Final[list[tuple[str, Situation, Situation, str]]] = [
    (
        "WD01",
        Situation(turn_age_seconds=1.0),
        Situation(turn_age_seconds=0.99),
        "The event loop has not turned for 1.0 s: nobody is accepted or read.",
    ),
    (
        "WD02",
        Situation(silent_workers=(SilentWorker(2, 4132, 12.0),)),
        Situation(silent_workers=(SilentWorker(2, 4132, 0.9),)),
        "Worker 2 (pid 4132) has not answered for 12 s: something may hold its interpreter lock.",
    ),
    (
        "WD02",
        Situation(silent_workers=(SilentWorker(2, 4132, 1.0, is_stopped=True),)),
        Situation(silent_workers=(SilentWorker(2, 4132, 0.9, is_stopped=True),)),
        "Worker 2 (pid 4132) has not answered for 1.0 s: a signal or a debugger has stopped it.",
    ),
    (
        "WD02",
        Situation(silent_workers=(SilentWorker(2, 4132, 5.0, is_lost=True, tasks=tuple(tasks(1)), oldest="GET /a"),)),
        Situation(silent_workers=(SilentWorker(2, 4132, 0.9, is_lost=True, tasks=tuple(tasks(1)), oldest="GET /a"),)),
        "Worker 2 (pid 4132) has not answered for 5.0 s: something may hold its interpreter lock. "
        "It has run GET /a for 40 s.",
    ),
    (
        "WD02",
        Situation(silent_workers=(SilentWorker(2, 4132, 5.0, tasks=tuple(tasks(3)), oldest="GET /a"),)),
        Situation(silent_workers=(SilentWorker(2, 4132, 0.9, tasks=tuple(tasks(3)), oldest="GET /a"),)),
        "Worker 2 (pid 4132) has not answered for 5.0 s: it is very busy. It has run GET /a for 40 s, and 2 more.",
    ),
    (
        "WD03",
        situation(*tasks(8), waiting=Waiting(12, 3.2, ("1-50-1", "1-51-1"))),
        situation(*tasks(7), waiting=Waiting(12, 3.2, ("1-50-1", "1-51-1"))),
        "All 8 threads are busy, and 12 requests wait, the first for 3.2 s.",
    ),
    (
        "WD03",
        situation(*tasks(1), threads=1, waiting=Waiting(1, 1.0)),
        situation(*tasks(1), threads=1, waiting=Waiting(1, 0.9)),
        "The only thread is busy, and 1 request has waited for 1.0 s.",
    ),
    (
        "WD04",
        situation(*tasks(3, place=PLACE, unchanged=2.0), *tasks(3, place="other.py:1 f", unchanged=1.0)),
        situation(*tasks(3, place=PLACE, unchanged=2.0), *tasks(4, place="other.py:1 f", unchanged=1.0)),
        f"3 of 6 busy threads are at the same place, {PLACE}, one of them for 2.0 s.",
    ),
    (
        "WD04",
        situation(*tasks(3, place=PLACE, unchanged=41.3)),
        situation(*tasks(2, place=PLACE, unchanged=41.3)),
        f"All 3 busy threads are at the same place, {PLACE}, one of them for 41 s.",
    ),
    (
        "WD05",
        situation(minute=Minute(answers=20, total_seconds=20.0, queue_seconds=10.0)),
        situation(minute=Minute(answers=19, total_seconds=20.0, queue_seconds=10.0)),
        "Waiting for a thread took 50% of the time to answer in the last minute, 0.50 s of each request on average.",
    ),
    (
        "WD06",
        situation(*tasks(4, client="10.0.4.17")),
        situation(*tasks(3, client="10.0.4.17")),
        "One client, 10.0.4.17, holds 4 of 8 threads.",
    ),
    (
        "WD06",
        situation(clients=Clients(40, "10.0.4.17", 20, limit=100)),
        situation(clients=Clients(41, "10.0.4.17", 20, limit=100)),
        "One client, 10.0.4.17, holds 20 of 40 connections.",
    ),
    (
        "WD07",
        situation(*tasks(1, overdue=True)),
        situation(*tasks(1)),
        "1 request past its time limit still holds a thread, for 40 s now.",
    ),
    (
        "WD07",
        situation(*tasks(2, overdue=True)),
        situation(*tasks(2)),
        "2 requests past their time limit still hold threads, the oldest for 40 s.",
    ),
    (
        "WD08",
        situation(minute=Minute(refused_full=1)),
        situation(minute=Minute()),
        "1 request was answered 503 in the last minute: the queue was full.",
    ),
    (
        "WD08",
        situation(minute=Minute(refused_late=4)),
        situation(minute=Minute()),
        "4 requests were answered 503 in the last minute: no thread was free in time.",
    ),
    (
        "WD08",
        situation(minute=Minute(refused_full=1000, refused_late=4)),
        situation(minute=Minute()),
        "1,004 requests were answered 503 in the last minute: the queue was full for 1,000 of them, and 4 had waited "
        "too long in it.",
    ),
    (
        "WD09",
        situation(clients=Clients(connections=1000, limit=1000)),
        situation(clients=Clients(connections=999, limit=1000)),
        "1,000 connections are open, the limit: new clients wait in the backlog.",
    ),
    (
        "WD09",
        situation(clients=Clients(connections=3, limit=1000, has_descriptors=False)),
        situation(clients=Clients(connections=3, limit=1000)),
        "Nobody is accepted at the moment: the descriptors or the memory have run out.",
    ),
    (
        "WD10",
        situation(minute=Minute(100, 5, "/basket", "KeyError: 'sku'", total_seconds=1.0)),
        situation(minute=Minute(101, 5, "/basket", "KeyError: 'sku'", total_seconds=1.0)),
        "5% of the answers in the last minute were 5xx, mostly /basket: KeyError: 'sku'.",
    ),
    (
        "WD10",
        situation(minute=Minute(5, 5)),
        situation(minute=Minute(4, 4)),
        "100% of the answers in the last minute were 5xx.",
    ),
    (
        "WD11",
        situation(late_seconds=0.1),
        situation(late_seconds=0.09),
        "Timers are late by 0.10 s: the interpreter lock or the processor is short.",
    ),
    (
        "WD12",
        situation(leaving=Leaving("draining", 3.2, 4, "1-88-2")),
        situation(),
        "The server has been draining for 3.2 s; 4 requests are left, the oldest is 1-88-2.",
    ),
    (
        "WD12",
        situation(leaving=Leaving("leaving", 0.0, 1)),
        situation(),
        "The server has been leaving for 0.00 s; 1 request is left.",
    ),
]


@pytest.mark.parametrize(
    ("code", "given", "below", "text"), CASES, ids=[f"{number}-{case[0]}" for number, case in enumerate(CASES)]
)
def test_a_finding_appears_at_its_threshold_and_not_below(
    code: str, given: Situation, below: Situation, text: str
) -> None:
    assert found(given) == [(code, text)]
    assert found(below) == []


def test_there_is_a_case_for_every_code() -> None:
    assert {case[0] for case in CASES} == set(TITLES)


def test_nothing_is_the_matter_with_a_quiet_server() -> None:
    assert find(Situation()) == []
    assert find(situation(*tasks(2), waiting=Waiting(0, 0.0))) == []


def test_what_is_bad_comes_first_and_then_the_codes_in_order() -> None:
    hung = tasks(8, client="10.0.4.17", place=PLACE, unchanged=9.0, overdue=True)
    everything = situation(
        *hung,
        turn_age_seconds=5.0,
        silent_workers=(SilentWorker(1, 1, 5.0),),
        waiting=Waiting(1, 5.0),
        clients=Clients(1000, "10.0.4.17", 900, 1000),
        minute=Minute(100, 50, "/", "E", 10.0, 9.0, 1, 1),
        late_seconds=1.0,
        leaving=Leaving("draining", 1.0, 1),
    )
    codes = [finding.code for finding in find(everything)]
    assert set(codes) == set(TITLES)
    order = [(finding.severity, finding.code) for finding in find(everything)]
    assert order == sorted(order)  # "bad" before "warn"


IDS: Final[list[tuple[str, Situation]]] = [
    ("WD03", situation(*tasks(8), waiting=Waiting(30, 2.0, tuple(f"1-{n}-1" for n in range(30))))),
    ("WD04", situation(*tasks(30, place=PLACE, unchanged=2.0), threads=64)),
    ("WD06", situation(*tasks(30, client="10.0.4.17"), threads=40)),
    ("WD07", situation(*tasks(30, overdue=True), threads=64)),
]


@pytest.mark.parametrize(("code", "given"), IDS, ids=[case[0] for case in IDS])
def test_a_finding_names_its_requests_and_not_more_than_a_line_bears(code: str, given: Situation) -> None:
    (finding,) = find(given)
    assert finding.code == code
    assert finding.ids == tuple(f"1-{number}-1" for number in range(SHOWN_IDS))


WITH_WORKER: Final[list[Situation]] = [case[1] for case in CASES if case[0] != "WD02"]


@pytest.mark.parametrize("given", WITH_WORKER)
def test_a_finding_of_a_worker_process_says_which(given: Situation) -> None:
    (finding,) = find(replace(given, worker=3))
    assert "orker 3" in finding.text


@pytest.mark.parametrize("given", [case[1] for case in CASES])
def test_a_finding_is_one_sentence_on_one_line(given: Situation) -> None:
    (finding,) = find(given)
    assert re.fullmatch(r"[A-Z0-9][^\n]*\.", finding.text)
    assert finding.severity in {"bad", "warn"}


def test_two_silent_workers_are_two_findings() -> None:
    codes = [f.code for f in find(Situation(silent_workers=(SilentWorker(1, 1, 2.0), SilentWorker(2, 2, 3.0))))]
    assert codes == ["WD02", "WD02"]


SPELLED: Final[list[tuple[float, str]]] = [
    (0.004, "0.00 s"),
    (0.5, "0.50 s"),
    (3.24, "3.2 s"),
    (41.3, "41 s"),
    (660, "11 min"),
]


@pytest.mark.parametrize(("seconds", "text"), SPELLED)
def test_durations_have_two_figures(seconds: float, text: str) -> None:
    assert spell_seconds(seconds) == text


def test_the_manual_has_a_section_for_every_code_and_for_no_other() -> None:
    lines = MANUAL.read_text(encoding="utf-8").splitlines()
    sections = [line for line, under in pairwise(lines) if under and set(under) == {"-"}]
    assert sections == [f"{code}: {title}" for code, title in TITLES.items()]


def test_a_finding_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Finding("WD01", "bad", "It hangs.").text = "It does not."  # type: ignore[misc]  # which is what is tested here
