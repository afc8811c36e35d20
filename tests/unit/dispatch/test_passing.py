"""The reserve runs nothing: what it has goes to a worker that waits, with the role or without it, or into the queue."""

import socket

import pytest

from tests.support.jobs import PlainJob
from tests.support.loop import GET, Loop
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.passing import REST_SECONDS, Passing
from waitressd.dispatch.role import Assignment, Worker
from waitressd.machine import MACHINE, Machine
from waitressd.net.held import HeldCalls, HeldSender, open_held_calls

needs_held_calls = pytest.mark.skipif(open_held_calls() is None, reason="there is no interpreter to keep")


def reserve(loop: Loop) -> tuple[Passing, Worker]:
    """Have the reserve lead, and one worker wait."""
    worker = Worker("idle")
    loop.worker.is_reserve = True
    assert loop.role.enter(worker) is Assignment.WAIT
    return Passing(loop.dispatcher, MACHINE), worker


def test_where_jobs_are_quick_the_role_goes_with_the_job() -> None:
    with Loop() as loop:
        passing, worker = reserve(loop)
        job = PlainJob()
        assert not passing.pass_on(job)
        assert loop.role.holder is worker
        assert list(loop.dispatcher.tasks) == [job]
        loop.dispatcher.tasks.clear()


def test_where_jobs_block_the_job_goes_alone() -> None:
    with Loop() as loop:
        passing, worker = reserve(loop)
        loop.dispatcher.blocking.share = 1.0
        job = PlainJob()
        assert passing.pass_on(job)
        assert loop.role.holder is loop.worker
        assert (worker.job, worker.assignment) == (job, Assignment.RUN)
        other = PlainJob()
        assert passing.pass_on(other)
        assert list(loop.role.queue) == [other]


def test_where_jobs_block_a_worker_has_one_before_the_next_is_read() -> None:
    with Loop() as loop, loop.connect() as client, loop.busy() as worker:
        loop.dispatcher.blocking.share = 1.0
        client.send(GET)
        loop.dispatcher._turn()
        loop.dispatcher._read_ready(loop.worker)
        assert not loop.dispatcher.tasks
        assert loop.role.finish(worker) is Assignment.RUN
        assert worker.job is loop.exchanges[0]


def test_the_operator_is_told_once_a_turn(caplog: pytest.LogCaptureFixture) -> None:
    with Loop(bounds=Bounds(queue_limit=5)) as loop, loop.busy():
        passing = Passing(loop.dispatcher, MACHINE)
        passing.tell()
        for _ in range(3):
            passing.give_away(PlainJob())
        assert caplog.messages == []
        passing.tell()
        assert caplog.messages[0].startswith("3 requests wait for a thread")
        passing.tell()
        assert len(caplog.messages) == 1


def crowd(loop: Loop) -> None:
    """Have tasks that block come fast."""
    loop.dispatcher.blocking.share = 1.0
    loop.dispatcher.blocking.pace = 0.0001


@needs_held_calls
def test_the_reserve_and_the_workers_keep_the_interpreter_while_tasks_that_block_come_fast() -> None:
    with Loop() as loop, loop.connect() as client, loop.busy() as worker:
        crowd(loop)
        client.send(GET)
        loop.dispatcher._turn()
        loop.dispatcher._read_ready(loop.worker)
        assert isinstance(loop.dispatcher.held, HeldCalls)
        first = loop.dispatcher.held
        assert loop.role.finish(worker) is Assignment.RUN
        exchange = loop.exchanges[0]
        exchange.note(1.0, 0.0)
        lent: list[object] = [exchange.out]
        exchange.run()
        assert client.receive().status == 200
        lent.append(exchange.out)
        assert [type(sender) for sender in lent] == [HeldSender, socket.socket]
        loop.dispatcher.held = None
        loop.dispatcher._read_ready(loop.worker)
        assert loop.dispatcher.held is first


@pytest.mark.parametrize(
    ("share", "pace", "is_reserve"), [(1.0, 0.001, True), (0.05, 0.0001, True), (1.0, 0.0001, False)]
)
def test_nobody_keeps_the_interpreter_otherwise(*, share: float, pace: float, is_reserve: bool) -> None:
    with Loop() as loop:
        loop.worker.is_reserve = is_reserve
        loop.dispatcher.blocking.share, loop.dispatcher.blocking.pace = share, pace
        loop.dispatcher._read_ready(loop.worker)
        assert loop.dispatcher.held is None


@needs_held_calls
def test_the_reserve_rests_while_all_are_busy_and_have_their_next_jobs() -> None:
    rests: list[float] = []
    with Loop() as loop, loop.busy():
        crowd(loop)
        passing = Passing(loop.dispatcher, Machine(sleep=rests.append))
        passing.rest()
        assert rests == []  # a worker that ends its task would find nothing
        loop.role.queue.extend(PlainJob() for _ in range(10))
        passing.rest()
        assert rests == [pytest.approx(10 * 0.0001 / 2)]
        loop.role.queue.extend(PlainJob() for _ in range(1000))
        passing.rest()
        assert rests[1:] == [REST_SECONDS]
        loop.role.waiting.append(Worker("idle"))
        passing.rest()
        assert len(rests) == 2
        loop.role.waiting.clear()
        loop.role.queue.clear()
