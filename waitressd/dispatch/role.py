"""Who holds the dispatcher role, who runs tasks, who waits: the protocol alone, without threads.

There are `task_limit` task workers and one *reserve*. Exactly one of them holds the role (poll, accept, read, flush,
deadlines). Only task workers run the application, so it sees exactly as many threads as tasks may run at once. A task
worker that holds the role runs a task *inline*: it puts down a claim, runs, takes the claim back. If the claim is still
there it is still the holder, and nothing was spent on threading. A watcher that finds the same task running at two
looks takes the claim away instead, and the role goes to a waiting worker.

The reserve gets the role only when no task worker waits. It keeps it until there is a task to run and a task worker
that waits again: then that worker gets the task, and where tasks are quick the role with it. Until then nobody is woken
for the sake of the role alone.

This module decides; it blocks nobody. A worker that must sleep is told so by `Assignment.WAIT`, a worker that must wake
up is handed to the `wake` callable. That is why every interleaving can be driven in one thread by a test.

Guarded by `lock`: holder, waiting, running, queue, stopping. Not guarded, and why that is safe: `Worker.claim` is a
list that only `append` and `pop` touch. Both are atomic, with the GIL and (by the list's own lock) without it, so of
the owner and the watcher exactly one gets a claim that was put down. Each worker has a claim list of its own: with one
slot for all, a worker whose claim was taken could take back the claim of its successor, and two would believe to hold
the role.
"""

from collections import deque
from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from waitressd.dispatch.callback import Callback
from waitressd.machine import MACHINE, Machine
from waitressd.net.eventloop import Job

if TYPE_CHECKING:
    import threading


STREAM_SECONDS: Final = 0.01  # that a task which sends keeps the role; no more than two looks are apart


class Assignment(IntEnum):
    """What a worker does next."""

    LEAD = 0  # it holds the role
    RUN = 1  # it runs the job in `Worker.job`, without the role
    WAIT = 2  # it sleeps until somebody passes it to `wake`
    STOP = 3  # it ends


class Worker:
    """One thread of the pool, as the protocol sees it."""

    __slots__ = (
        "assignment",
        "claim",
        "is_replaced",
        "is_reserve",
        "job",
        "name",
        "sleeper",
        "started",
        "thread",
        "thread_id",
    )

    def __init__(self, name: str, *, is_reserve: bool = False) -> None:
        self.name = name
        self.is_reserve = is_reserve  # it leads when all others are busy, and never runs a job
        self.is_replaced = False  # its job takes too long: another one has its place, and it ends when it returns
        self.claim: list[Callable[[], None]] = []  # the running inline job's `run`, while the claim is down
        self.job: Job | None = None  # what it runs now, for the watcher's eyes
        self.started = 0.0  # when that began, monotonic seconds
        self.assignment = Assignment.WAIT
        self.sleeper: threading.Lock | None = None  # the pool's means to make this worker sleep
        self.thread: threading.Thread | None = None
        self.thread_id = 0


class Role:
    """The state of the protocol. Methods say who may call them; all but `keep` take `lock` themselves."""

    def __init__(self, task_limit: int, wake: Callable[[Worker], None], machine: Machine = MACHINE) -> None:
        self.lock = machine.new_lock()
        self.task_limit = task_limit
        self.holder: Worker | None = None
        # Last in, first out: the worker that slept shortest has the warmest caches. The reserve is always the last out,
        # so while it leads this is a list of task workers.
        self.waiting: list[Worker] = []
        self.queue: deque[Job] = deque()
        self.running = 0  # tasks that run without the role
        self.takeovers = 0  # how often the watcher has taken the role; it alone writes that
        self.stopping = False
        self._wake = wake
        self._looked_at: Callable[[], None] | None = None
        self._send_count = 0  # of that task
        self._clock = machine.monotonic

    # -- the holder

    def keep(self, worker: Worker) -> bool:
        """Take the claim of an inline task back; False when the watcher has it, and the role is gone. Takes no lock."""
        try:
            worker.claim.pop()
        except IndexError:
            return False
        return True

    def offer(self, job: Job) -> bool:
        """Give the reserve's job to a task worker that waits (False), or queue it when there is none (True).

        One step under the lock: between a look at the waiting workers and the queueing the last task could end, find
        the queue empty and go to sleep, and nobody would ever take the job.
        """
        with self.lock:
            if self.waiting:
                worker = self.waiting.pop()
                self._take(worker, job)
                self._give(worker, Assignment.RUN)
                return False
            self.queue.append(job)
            return True

    def pass_back(self) -> bool:
        """Have a task worker that waits lead in place of the reserve; False when none does.

        What the reserve leaves must lie where the next holder finds it, who may begin at once.
        """
        with self.lock:
            if not self.waiting:
                return False
            self.holder = self.waiting.pop()
            self._give(self.holder, Assignment.LEAD)
            return True

    def withdraw(self, job: Job) -> bool:
        """Take a job out of the queue (its client left or waited too long); False when somebody runs it already."""
        with self.lock:
            try:
                self.queue.remove(job)
            except ValueError:
                return False
            return True

    def hand_over(self, worker: Worker) -> None:
        """The holder gives the role away before it runs a task that will probably block."""
        with self.lock:
            self._pass_on(worker)

    def still_leads(self, worker: Worker) -> bool:
        """Whether a worker that was interrupted by a defect holds the role; a claim it has left is taken back."""
        with self.lock:
            worker.claim.clear()
            return self.holder is worker

    # -- the watcher

    def look(self) -> bool:
        """Take the role from a holder that runs the same inline task as at the last look; True when it was taken."""
        holder = self.holder
        claim = holder.claim[-1:] if holder is not None else []
        if holder is None or not claim or claim[0] is not self._looked_at:
            # Two jobs never are the same object while this reference keeps the first one alive.
            self._looked_at = claim[0] if claim else None
            self._note_sends(holder)
            return False
        if self._note_sends(holder) and self._clock() - holder.started < STREAM_SECONDS:
            return False
        self._looked_at = None
        with self.lock:
            if self.holder is not holder or not self.keep(holder):
                return False
            self._pass_on(holder)
        self.takeovers += 1
        return True

    def _note_sends(self, holder: Worker | None) -> bool:
        """Note how often the task of the holder has sent something; return whether it has since the last look.

        Two streams side by side take the GIL from each other at every block: both cost twice as much.
        """
        job = holder.job if holder is not None else None
        before, self._send_count = self._send_count, job.send_count if job is not None else 0
        return self._send_count > before

    def has_claim(self) -> bool:
        """Whether a task runs inline at this moment. Any thread; takes no lock."""
        holder = self.holder
        return holder is not None and bool(holder.claim)

    def replace(self, worker: Worker, job: Job) -> bool:
        """Let another worker enter in place of one that hangs in a job; False if it has returned from that."""
        with self.lock:
            if worker.job is not job or worker.assignment is not Assignment.RUN:
                return False
            worker.is_replaced = True
            self.task_limit += 1
            return True

    # -- any worker

    def finish(self, worker: Worker) -> Assignment:
        """A worker that has lost the role, or has ended its task without it, asks what to do next."""
        with self.lock:
            if self.queue and not (worker.is_reserve or worker.is_replaced or self.stopping):
                # Written out for what a busy server does most: one task has ended, the next one begins.
                worker.job = job = self.queue.popleft()
                job.begin()
                worker.assignment = Assignment.RUN
                return Assignment.RUN
            if not worker.is_reserve:  # which lost the role without a task
                self.running -= 1
            return self._assign(worker)

    def enter(self, worker: Worker) -> Assignment:
        """A new worker asks for its first assignment."""
        with self.lock:
            return self._assign(worker)

    def resign(self, worker: Worker) -> Assignment:
        """The holder ends its service because the pool stops."""
        with self.lock:
            self.holder = None
            return self._assign(worker)

    def stop(self) -> None:
        """End: every waiting worker is woken and leaves; tasks that run end on their own. Any thread."""
        with self.lock:
            self.stopping = True
            while self.waiting:
                self._give(self.waiting.pop(), Assignment.STOP)

    def take_callbacks(self) -> list[Job]:
        """Take the callbacks for which no thread was free out of the queue. Any thread."""
        with self.lock:
            queue = self.queue
            self.queue = deque(job for job in queue if not isinstance(job, Callback))
            return [job for job in queue if isinstance(job, Callback)]

    # -- under the lock

    def _pass_on(self, holder: Worker) -> None:
        """The holder becomes a worker that runs a task; the role goes to a waiting worker, or to the next that asks."""
        self.running += 1
        holder.assignment = Assignment.RUN
        self.holder = None
        if self.waiting:
            self.holder = self.waiting.pop()
            self._give(self.holder, Assignment.LEAD)

    def _assign(self, worker: Worker) -> Assignment:
        worker.job = None
        if worker.is_replaced:
            self.task_limit -= 1
            worker.assignment = Assignment.STOP
        elif self.stopping:
            worker.assignment = Assignment.STOP
        elif self.queue and not worker.is_reserve:
            self._take(worker, self.queue.popleft())
            worker.assignment = Assignment.RUN
        else:
            self._rest(worker)
        return worker.assignment

    def _take(self, worker: Worker, job: Job) -> None:
        worker.job = job
        job.begin()
        self.running += 1

    def _rest(self, worker: Worker) -> None:
        """The worker waits; where nobody leads, the best of those that wait does."""
        self.waiting.insert(0 if worker.is_reserve else len(self.waiting), worker)
        worker.assignment = Assignment.WAIT
        if self.holder is not None:
            return
        self.holder = leader = self.waiting.pop()
        if leader is worker:
            leader.assignment = Assignment.LEAD
        else:
            self._give(leader, Assignment.LEAD)

    def _give(self, worker: Worker, assignment: Assignment) -> None:
        worker.assignment = assignment
        self._wake(worker)
