"""The reserve runs nothing: what it has goes to a worker that waits, with the role or without it, or into the queue."""

import pytest

from tests.support.jobs import PlainJob
from tests.support.loop import GET, Loop
from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.passing import Passing
from waitressd.dispatch.role import Assignment, Worker


def reserve(loop: Loop) -> tuple[Passing, Worker]:
    """Have the reserve lead, and one worker wait."""
    worker = Worker("idle")
    loop.worker.is_reserve = True
    assert loop.role.enter(worker) is Assignment.WAIT
    return Passing(loop.dispatcher), worker


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
        passing = Passing(loop.dispatcher)
        passing.tell()
        for _ in range(3):
            passing.give_away(PlainJob())
        assert caplog.messages == []
        passing.tell()
        assert caplog.messages[0].startswith("3 requests wait for a thread")
        passing.tell()
        assert len(caplog.messages) == 1
