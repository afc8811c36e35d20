"""Each step of the role protocol by itself; the order of the steps is the business of test_role_model.py."""

from collections.abc import Callable

import pytest

from tests.support.jobs import PlainJob
from waitressd.dispatch.callback import Callback
from waitressd.dispatch.role import STREAM_SECONDS, Assignment, Role, Worker


class Work(PlainJob):
    """A job that notes what became of it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = 0

    def begin(self) -> None:
        self.begun += 1


class Crew:
    """A role and its workers."""

    def __init__(self, task_limit: int = 1) -> None:
        self.woken: list[tuple[str, Assignment]] = []
        self.role = Role(task_limit, lambda worker: self.woken.append((worker.name, worker.assignment)))
        self.workers = [Worker(str(number)) for number in range(task_limit)]
        self.workers.append(Worker("reserve", is_reserve=True))

    def enter(self) -> list[Assignment]:
        return [self.role.enter(worker) for worker in self.workers]


def claim(worker: Worker) -> Callable[[], None]:
    run = Work().run
    worker.claim.append(run)
    return run


def test_the_first_leads_and_the_others_wait() -> None:
    crew = Crew(2)
    assert crew.enter() == [Assignment.LEAD, Assignment.WAIT, Assignment.WAIT]
    assert crew.role.holder is crew.workers[0]


def test_a_claim_that_nobody_took_is_taken_back() -> None:
    crew = Crew()
    crew.enter()
    claim(crew.workers[0])
    assert crew.role.keep(crew.workers[0])
    assert crew.role.holder is crew.workers[0]
    assert crew.woken == []


def test_the_same_task_at_two_looks_loses_the_role() -> None:
    crew = Crew()
    crew.enter()
    first, second = crew.workers
    claim(first)
    assert not crew.role.look()
    assert crew.role.look()
    assert (crew.role.holder, crew.role.running) == (second, 1)
    assert crew.woken == [("reserve", Assignment.LEAD)]
    assert not crew.role.keep(first)
    assert crew.role.finish(first) is Assignment.WAIT


def test_a_task_that_sends_between_looks_keeps_it_for_a_moment() -> None:
    """Two streams side by side would take the GIL from each other at every block."""
    crew = Crew()
    crew.enter()
    leader, now = crew.workers[0], crew.role._clock()
    leader.job, leader.started = Work(), now + 100  # it begins then, so its moment is not over
    leader.claim.append(leader.job.run)
    for _ in range(5):
        leader.job.send_count += 1
        assert not crew.role.look()
    assert crew.role.look(), "it has sent nothing since"
    assert crew.role.finish(leader) is Assignment.WAIT


def test_a_stream_loses_it_when_its_moment_is_over() -> None:
    crew = Crew()
    crew.enter()
    leader = crew.workers[0]
    leader.job, leader.started = Work(), crew.role._clock() - STREAM_SECONDS
    leader.claim.append(leader.job.run)
    assert not crew.role.look()
    leader.job.send_count += 1
    assert crew.role.look()


def test_what_another_task_has_sent_does_not_count() -> None:
    crew = Crew()
    crew.enter()
    leader = crew.workers[0]
    leader.started = crew.role._clock() + 100
    for count in (7, 3):
        leader.job = Work()
        leader.job.send_count = count
        leader.claim[:] = [leader.job.run]
        assert not crew.role.look()
    assert crew.role.look()


def test_two_tasks_at_two_looks_keep_it() -> None:
    crew = Crew()
    crew.enter()
    for _ in range(5):
        claim(crew.workers[0])
        assert not crew.role.look()
        assert crew.role.keep(crew.workers[0])
    assert not crew.role.look()  # no task at all
    claim(crew.workers[0])
    assert not crew.role.look()


def test_two_tasks_of_one_connection_are_two_tasks() -> None:
    """The claim is a bound method, made anew for each task, though the channel is the same."""
    crew = Crew()
    crew.enter()
    channel = Work()
    for _ in range(5):
        crew.workers[0].claim.append(channel.run)
        assert not crew.role.look()
        assert crew.role.keep(crew.workers[0])


def test_who_hands_over_runs_and_the_next_leads() -> None:
    crew = Crew()
    crew.enter()
    crew.role.hand_over(crew.workers[0])
    assert crew.workers[0].assignment is Assignment.RUN
    assert crew.role.holder is crew.workers[1]
    assert crew.role.finish(crew.workers[0]) is Assignment.WAIT


def test_a_role_that_nobody_waits_for_goes_to_the_next_that_asks() -> None:
    crew = Crew(2)
    assert crew.role.enter(crew.workers[0]) is Assignment.LEAD
    crew.role.hand_over(crew.workers[0])
    assert crew.role.holder is None
    assert crew.role.enter(crew.workers[1]) is Assignment.LEAD


def test_the_reserve_leads_last() -> None:
    crew = Crew(2)
    crew.enter()
    first, second, reserve = crew.workers
    crew.role.hand_over(first)
    assert crew.role.holder is second
    crew.role.hand_over(second)
    assert crew.role.holder is reserve
    assert crew.role.finish(first) is Assignment.WAIT  # nobody is woken for the sake of the role
    assert crew.role.resign(reserve) is Assignment.WAIT
    assert crew.role.holder is first
    assert crew.woken == [("1", Assignment.LEAD), ("reserve", Assignment.LEAD), ("0", Assignment.LEAD)]


def test_the_reserve_gives_the_role_to_a_task_worker_that_waits() -> None:
    crew = Crew()
    crew.enter()
    first, reserve = crew.workers
    crew.role.hand_over(first)
    assert not crew.role.pass_back()
    assert crew.role.finish(first) is Assignment.WAIT
    crew.woken.clear()
    assert crew.role.pass_back()
    assert (crew.role.holder, crew.role.running, crew.woken) == (first, 0, [("0", Assignment.LEAD)])
    assert crew.role.finish(reserve) is Assignment.WAIT
    assert crew.role.running == 0


def test_a_role_that_was_passed_on_again_meanwhile_goes_to_the_reserve_that_asks() -> None:
    crew = Crew()
    crew.enter()
    first, reserve = crew.workers
    crew.role.hand_over(first)
    crew.role.finish(first)
    assert crew.role.pass_back()
    crew.role.hand_over(first)
    assert crew.role.holder is None
    assert crew.role.finish(reserve) is Assignment.LEAD


def test_the_reserve_gives_a_job_to_a_task_worker_that_waits() -> None:
    crew = Crew()
    crew.enter()
    first, reserve = crew.workers
    crew.role.hand_over(first)
    crew.role.finish(first)
    crew.woken.clear()
    job = Work()
    assert not crew.role.offer(job)
    assert (first.job, job.begun, crew.role.running) == (job, 1, 1)
    assert crew.woken == [("0", Assignment.RUN)]
    assert crew.role.holder is reserve


def test_jobs_wait_while_no_task_worker_does_and_start_in_order() -> None:
    crew = Crew()
    crew.enter()
    first, reserve = crew.workers
    jobs = [Work() for _ in range(3)]
    crew.role.hand_over(first)
    assert all(crew.role.offer(job) for job in jobs)
    assert crew.role.resign(reserve) is Assignment.LEAD  # whatever happens to it, it runs none
    taken = []
    while crew.role.finish(first) is Assignment.RUN:
        taken.append(first.job)
    assert taken == jobs
    assert [job.begun for job in jobs] == [1, 1, 1]


def test_a_job_is_withdrawn_or_taken_but_not_both() -> None:
    crew = Crew()
    crew.enter()
    crew.role.hand_over(crew.workers[0])
    first, second = Work(), Work()
    assert crew.role.offer(first)
    assert crew.role.offer(second)
    assert crew.role.withdraw(first)
    assert not crew.role.withdraw(first)
    assert crew.role.finish(crew.workers[0]) is Assignment.RUN
    assert crew.workers[0].job is second
    assert not crew.role.withdraw(second)


def test_the_end_wakes_who_sleeps_and_stops_who_comes() -> None:
    crew = Crew(2)
    crew.enter()
    crew.role.hand_over(crew.workers[0])
    crew.woken.clear()
    crew.role.stop()
    assert crew.woken == [("reserve", Assignment.STOP)]
    assert crew.role.finish(crew.workers[0]) is Assignment.STOP
    assert crew.role.resign(crew.workers[2]) is Assignment.STOP
    assert crew.role.holder is None


def test_who_resigns_may_be_the_next_to_lead() -> None:
    crew = Crew()
    assert crew.role.enter(crew.workers[0]) is Assignment.LEAD
    assert crew.role.resign(crew.workers[0]) is Assignment.LEAD


@pytest.mark.parametrize("taken", [True, False])
def test_after_a_defect_a_worker_learns_whether_it_leads_and_leaves_no_claim(taken: bool) -> None:  # noqa: FBT001 - a parameter
    crew = Crew()
    crew.enter()
    claim(crew.workers[0])
    crew.role.look()
    if taken:
        assert crew.role.look()
    assert crew.role.still_leads(crew.workers[0]) is not taken
    assert not crew.workers[0].claim


def test_whether_a_task_runs_inline_can_be_asked_at_any_time() -> None:
    crew = Crew()
    assert not crew.role.has_claim()
    crew.enter()
    assert not crew.role.has_claim()
    claim(crew.workers[0])
    assert crew.role.has_claim()


def test_a_worker_that_hangs_is_replaced_and_ends_when_it_returns() -> None:
    crew = Crew(2)
    crew.enter()
    first, second, _ = crew.workers
    job = Work()
    crew.role.hand_over(first)
    first.job = job
    assert not crew.role.replace(first, Work())  # it runs another one
    assert not crew.role.replace(second, job)
    assert crew.role.replace(first, job)
    assert crew.role.task_limit == 3
    spare = Worker("spare")
    crew.role.enter(spare)
    assert not first.is_reserve
    assert crew.role.finish(first) is Assignment.STOP
    assert crew.role.task_limit == 2
    assert first not in crew.role.waiting
    assert not crew.role.replace(spare, job)


def test_callbacks_are_taken_out_of_the_queue() -> None:
    crew = Crew()
    callback, request = Callback(bool, print, 0.0), Work()
    crew.role.queue.extend((request, callback))
    assert crew.role.take_callbacks() == [callback]
    assert list(crew.role.queue) == [request]
