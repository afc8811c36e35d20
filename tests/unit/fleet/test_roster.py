"""What the master knows of its processes."""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.connecting import begin_connection, is_answered
from waitressd.command import StartCommand
from waitressd.fleet.board import Board, Field, to_ms
from waitressd.fleet.hello import Hello
from waitressd.fleet.link import Link, Message
from waitressd.fleet.processes import Death
from waitressd.fleet.roster import STACKS_SECONDS, Code, Process, Roster, Worker
from waitressd.inhand import Desk
from waitressd.metrics.fleet import FleetMetrics
from waitressd.metrics.shown import FleetState
from waitressd.net.listener import Listener, open_tcp

PRELOADED = Hello(2, is_preloaded=True, preload_is_off="", settings={})


def listening(asked: str) -> Listener:
    """A listener on a free port, opened for an address."""
    (listener,) = open_tcp("127.0.0.1", 0, 5)
    listener.asked = asked
    return listener


@contextlib.contextmanager
def roster_of(**listeners: list[Listener]) -> Iterator[Roster]:
    """A roster of codes `c1`, `c2` and so on, with these listeners."""
    roster = Roster(StartCommand((sys.executable, "-c", "pass"), dict(os.environ), "/"))
    everything = [listener for found in listeners.values() for listener in found]
    for name, found in listeners.items():
        number = int(name[1:])
        roster.codes[number] = Code(1000 + number, None, None, number, PRELOADED, found)
    try:
        yield roster
    finally:
        for process in roster.everyone():
            process.close()
        roster.close()
        roster.close()
        for listener in everything:
            listener.close()


def is_open(listener: Listener) -> bool:
    return listener.socket.fileno() >= 0


def test_listeners_are_held_by_the_addresses_that_were_asked_for_each_once() -> None:
    shared, one, other = listening("a:1"), listening("a:1"), listening("b:1")
    with roster_of(c1=[shared, other], c2=[shared, one]) as roster:
        assert roster.held() == {"a:1": [shared, one], "b:1": [other]}


def test_an_address_stays_open_as_long_as_a_code_wants_it() -> None:
    shared, old, new = listening("a:1"), listening("b:1"), listening("c:1")
    with roster_of(c1=[shared, old], c2=[shared, new]) as roster:
        roster.keep_addresses((1, 2))
        assert [is_open(each) for each in (shared, old, new)] == [True, True, True]
        roster.keep_addresses((2,))
        assert [is_open(each) for each in (shared, old, new)] == [True, False, True]
        assert roster.held() == {"a:1": [shared], "c:1": [new]}
        roster.keep_addresses(())
        assert [is_open(each) for each in (shared, old, new)] == [False, False, False]
        assert roster.held() == {}


@pytest.mark.skipif(sys.platform != "linux", reason="a filter of Linux")
def test_at_the_end_nobody_new_gets_into_the_backlog_that_workers_still_serve() -> None:
    listener = listening("a:1")
    with roster_of(c1=[listener]) as roster, listener.socket.dup() as worker:
        roster.keep_addresses(())
        with begin_connection(worker.getsockname()) as late:
            assert not is_answered(late, 0.1)


def test_an_address_that_a_reload_drops_is_only_closed() -> None:
    listener = listening("a:1")
    with roster_of(c1=[listener], c2=[]) as roster, listener.socket.dup() as worker:
        roster.keep_addresses((2,))
        with begin_connection(worker.getsockname()) as late:
            assert is_answered(late, 5)


def test_a_code_that_nobody_wants_is_forgotten_when_its_process_is_gone() -> None:
    with roster_of(c1=[], c2=[], c3=[]) as roster:
        roster.codes[1].pid = 0
        roster.keep_addresses((3,))
        assert sorted(roster.codes) == [2, 3]
        roster.codes[2].pid = roster.codes[3].pid = 0
        roster.keep_addresses(())  # the end: what is still there may say something
        assert sorted(roster.codes) == [2, 3]


def test_a_worker_is_asked_for_with_its_end_of_a_link_and_the_listeners() -> None:
    one, two = listening("a:1"), listening("b:1")
    with roster_of(c1=[one, two]) as roster:
        roster.watchdog_seconds = 2.5
        template = roster.codes[1]
        template.link, asked = Link.pair()
        with contextlib.closing(asked):
            worker = roster.spawn(7, 2, 1)
            assert roster.workers == {7: worker}
            (order,) = asked.receive()
            assert order.name == "fork"
            assert order.fields == {
                "worker": 7,
                "row": None,
                "board_row": worker.board_row,
                "has_stack_file": True,
                "counts": False,
                "place": 2,
                "workers": 2,
                "listeners": ["a:1", "b:1"],
                "watchdog_seconds": 2.5,
            }
            with contextlib.closing(Link.from_descriptor(order.descriptors[0])) as end:
                assert roster.board is not None
                assert os.path.sameopenfile(order.descriptors[1], roster.board.fd)
                assert worker.stacks is not None
                assert os.path.sameopenfile(order.descriptors[2], worker.stacks.fd)
                assert os.path.sameopenfile(order.descriptors[3], one.fd)
                assert os.path.sameopenfile(order.descriptors[4], two.fd)
                end.send("born", pid=4711)
                assert worker.receive() == [Message("born", {"pid": 4711})]
                worker.tell("abort")
                assert end.receive() == [Message("abort")]
            for fd in order.descriptors[1:]:
                os.close(fd)
            assert worker.receive() == []
            assert worker.link is None


def test_the_row_of_a_worker_that_has_ended_is_the_next_ones() -> None:
    """Else the gauges of the dead would be shown for ever, and after many births nobody would be counted."""
    with roster_of(c1=[]) as roster:
        roster.codes[1].hello = replace(PRELOADED, counts=True)
        roster.codes[1].link, asked = Link.pair()
        roster.metrics = FleetMetrics(lambda: FleetState({}, {}, {}, {}, 1))
        with contextlib.closing(asked), contextlib.closing(roster.metrics):
            first, second = roster.spawn(1, 1, 1), roster.spawn(2, 2, 1)
            assert first.row not in (None, second.row)
            roster.retire(first)
            assert roster.spawn(3, 1, 1).row == first.row
            for order in asked.receive():
                order.close()


def test_a_worker_has_a_row_of_the_board_until_it_has_ended() -> None:
    with roster_of(c1=[]) as roster:
        roster.codes[1].link, asked = Link.pair()
        with contextlib.closing(asked):
            first, second = roster.spawn(1, 1, 1), roster.spawn(2, 2, 1)
            row = roster.row_of(second)
            assert row is not None
            roster.name(second, 4711)
            assert [row[field] for field in (Field.NUMBER, Field.PLACE, Field.PID)] == [2, 2, 4711]
            assert 0 < row[Field.BORN_AT] <= to_ms(time.monotonic())
            taken = first.board_row
            roster.retire(first)
            assert roster.row_of(first) is None
            roster.retire(first)  # twice
            third = roster.spawn(3, 1, 1)
            assert third.board_row == taken
            orders = [order for _ in range(3) for order in asked.receive()]  # each comes with descriptors of its own
            assert [order.fields["board_row"] for order in orders] == [taken, second.board_row, taken]
            for worker, order in zip((first, second, third), orders, strict=True):
                order.close()
                worker.close()


def test_without_memory_for_a_board_workers_are_born_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_what: object = None) -> Board:
        raise OSError(12, "no memory")

    monkeypatch.setattr(Board, "create", refuse)
    monkeypatch.setattr("waitressd.fleet.stackfile.new_file", refuse)
    with roster_of(c1=[]) as roster:
        roster.codes[1].link, asked = Link.pair()
        with contextlib.closing(asked):
            worker = roster.spawn(1, 1, 1)
            assert roster.row_of(worker) is None
            roster.name(worker, 4711)
            (order,) = asked.receive()
            assert (order.fields["board_row"], len(order.descriptors)) == (None, 1)
            order.close()
            worker.close()


@contextlib.contextmanager
def one_worker() -> Iterator[tuple[Roster, Worker]]:
    """A roster whose template has been asked for a worker, that is known by a number that no process has."""
    with roster_of(c1=[]) as roster:
        roster.codes[1].link, asked = Link.pair()
        with contextlib.closing(asked):
            worker = roster.spawn(1, 3, 1)
            (order,) = asked.receive()
            order.close()
            roster.name(worker, 4711)
            yield roster, worker
        worker.close()


@contextlib.contextmanager
def in_hand(memory: memoryview, *targets: str) -> Iterator[None]:
    """Have requests in hand there, each in a thread of its own."""
    desk, begun, go = Desk(memory), threading.Semaphore(0), threading.Event()

    def handler(_request: Any, _body: Any, _exchange: Any, /) -> None:
        begun.release()
        go.wait()

    threads = []
    for number, target in enumerate(targets):
        what = SimpleNamespace(method="GET", target=target, number=number, line=SimpleNamespace(number=1))
        threads.append(threading.Thread(target=desk.noting(handler), args=(what, None, what)))
        threads[-1].start()
        begun.acquire()
    try:
        yield
    finally:
        go.set()
        for thread in threads:
            thread.join()


def test_a_line_names_some_of_the_requests_in_hand_and_counts_the_others() -> None:
    with one_worker() as (roster, worker):
        row = roster.row_of(worker)
        assert row is not None
        assert roster.in_hand(worker, 1.0) == ""
        with in_hand(row.entries, "/a?secret=1"):
            since = row.in_hand()[0].since
            assert roster.in_hand(worker, since + 2.51) == "; it had in hand GET /a (2.5 s)"
        with in_hand(row.entries, *(f"/{n}" for n in range(6))):
            line = roster.in_hand(worker, 0.0)  # which was before
        assert line == "; it had in hand GET /0 (0.0 s), GET /1 (0.0 s), GET /2 (0.0 s), GET /3 (0.0 s) and 2 more"
        roster.retire(worker)
        assert roster.in_hand(worker, 1.0) == ""


def test_stacks_that_nobody_waits_for_are_logged_when_they_are_whole(caplog: pytest.LogCaptureFixture) -> None:
    with one_worker() as (roster, worker):
        assert worker.stacks is not None
        roster.pass_on_stacks(10.0)
        assert roster.next_signal() == float("inf")
        os.write(worker.stacks.fd, b"Thread 0x1 (most recent call first):\n")
        roster.pass_on_stacks(10.0)
        assert caplog.messages == []
        roster.pass_on_stacks(roster.next_signal())
        text = "the stacks of worker 3 (pid 4711):\nThread 0x1 (most recent call first):"
        assert caplog.messages == [text]
        os.write(worker.stacks.fd, b"Thread 0x1 (most recent call first):\n")
        worker.pid = 0
        roster.retire(worker)  # which may be the end of it
        roster.retire(worker)
        assert caplog.messages == [text] * 2


def test_stacks_that_somebody_waits_for_are_theirs(caplog: pytest.LogCaptureFixture) -> None:
    with one_worker() as (roster, worker):
        row, file = roster.row_of(worker), worker.stacks
        assert row is not None
        assert file is not None
        with in_hand(row.entries, "/a"):
            thread = row.in_hand()[0].thread
            text = f"Thread 0x{thread:016x} (most recent call first):"
            found = roster.stacks_of(worker, lambda: os.write(file.fd, text.encode()), 5.0)
        assert found.startswith(f"Thread 0x{thread:016x} [GET /a, 0.")
        roster.pass_on_stacks(1e9)
        assert caplog.messages == []
        roster.retire(worker)
        assert roster.stacks_of(worker, lambda: None, 0.01) == ""


@pytest.fixture
def quit_that_ends() -> Iterator[None]:
    """Children end by SIGQUIT, also where these tests run in the background of a shell script."""
    former = signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGQUIT, former)


@pytest.mark.usefixtures("quit_that_ends")
def test_a_process_that_was_asked_for_its_stacks_is_looked_at_soon() -> None:
    with roster_of() as roster:
        roster.command = StartCommand((sys.executable, "-c", "import signal; signal.pause()"), dict(os.environ), "/")
        roster.ask_for_stacks(Process(0, None))  # not born yet
        assert roster.next_signal() == float("inf")
        code = roster.load(1)
        roster.ask_for_stacks(code)
        assert roster.next_signal() < time.monotonic() + STACKS_SECONDS
        assert os.waitstatus_to_exitcode(os.waitpid(code.pid, 0)[1]) == -3


def test_a_template_that_takes_no_order_is_known_by_the_end_of_the_link() -> None:
    with roster_of(c1=[]) as roster:
        template = roster.codes[1]
        template.link, asked = Link.pair()
        asked.close()
        worker = roster.spawn(1, 1, 1)
        assert worker.receive() == []
        assert worker.link is None


def test_nonsense_is_the_end_of_a_process_for_its_master() -> None:
    ours, theirs = Link.pair()
    with contextlib.closing(theirs):
        process = Process(0, ours)
        theirs.socket.sendall(b"nonsense\n")
        assert process.receive() == []
        assert process.link is None
        process.tell("too late")
        process.close()


def test_a_worker_that_loads_for_itself_runs_the_command(tmp_path: Path) -> None:
    with roster_of(c1=[]) as roster:
        roster.codes[1].hello = Hello(2, is_preloaded=False, preload_is_off="", settings={})
        roster.command = StartCommand((sys.executable, "-c", ""), dict(os.environ), str(tmp_path))
        worker = roster.spawn(1, 1, 1)
        assert worker.loading is not None
        assert os.waitpid(worker.pid, 0) == (worker.pid, 0)


def test_a_kill_waits_for_the_stacks_and_is_forgotten_when_the_process_has_ended() -> None:
    with roster_of() as roster:
        roster.command = StartCommand(
            (sys.executable, "-c", "import signal; signal.signal(3, 1); print(1, flush=True); signal.pause()"),
            dict(os.environ),
            "/",
        )
        assert roster.next_signal() == float("inf")
        code = roster.load(1)
        roster.kill(Worker(0, None), with_stacks=True)  # not born yet
        assert roster.next_signal() == float("inf")
        roster.kill(code, with_stacks=True)
        at = roster.next_signal()
        assert 0 < at - time.monotonic() <= STACKS_SECONDS
        roster.forget_signals(code.pid)
        roster._stacks_until = 0.0
        assert roster.next_signal() == float("inf")
        roster.kill_later(code, 5.0)
        roster.signal_due(at)
        assert roster.next_signal() > at  # not yet
        roster.signal_due(at + 10.0)
        assert roster.next_signal() == float("inf")
        assert os.waitstatus_to_exitcode(os.waitpid(code.pid, 0)[1]) in (-9, -3)


def test_who_is_not_born_yet_keeps_its_link_so_that_its_birth_is_heard() -> None:
    ours, theirs = Link.pair()
    ours.socket.setblocking(False)
    with roster_of() as roster, contextlib.closing(theirs):
        roster.workers[1] = worker = Worker(0, ours, None, 1, 1, 1)
        roster.kill(worker, with_stacks=False)
        theirs.send("born", pid=4711)
        assert worker.receive() == [Message("born", {"pid": 4711})]


def test_a_death_is_kept_for_a_worker_whose_number_is_not_known_yet() -> None:
    with roster_of() as roster:
        roster.keep_unknown(Death(1, 0))  # a stranger's: everybody is known
        assert roster.take_unknown(1) is None
        roster.workers[1], roster.workers[2] = one, two = Worker(0, None), Worker(0, None)
        for pid in (1, 2, 3):
            roster.keep_unknown(Death(pid, 9))
        one.pid = 2
        assert roster.take_unknown(2) == Death(2, 9)
        assert roster.take_unknown(2) is None
        two.pid = 4
        assert roster.take_unknown(4) is None
        assert roster.take_unknown(1) is None  # was a stranger's, and its number may be a new worker's


def test_a_command_that_cannot_be_run_is_an_error(tmp_path: Path) -> None:
    with roster_of() as roster:
        roster.command = StartCommand((str(tmp_path / "gone"),), {}, "/")
        with pytest.raises(OSError, match="gone"):
            roster.load(1)
        assert roster.codes == {}


def test_addresses_are_kept_for_the_codes_that_there_are() -> None:
    """A process that ends late has the plan name its codes again, the former one too, which has nobody any more."""
    roster = Roster(StartCommand((), {}, "/"))
    roster.codes[2] = current = Code(0, None, None, 2)
    roster.keep_addresses((1, 2))
    assert roster.codes == {2: current}
