"""The threads: those that run tasks, one in reserve that never does, and a watcher that moves the dispatcher role.

A worker thread sleeps on a lock of its own, so that a wake-up reaches exactly the one that is meant. The watcher is the
thread that calls `watch`, usually the main thread, which has nothing else to do and is where signals arrive.
"""

import contextlib
import contextvars
import errno
import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.dispatch.reports import describe, is_busy, log_stack
from waitressd.dispatch.role import Assignment, Role, Worker
from waitressd.net.logs import report_defect, say

SHORTEST_TICK_SECONDS: Final = 0.00025
LONGEST_TICK_SECONDS: Final = 0.005
TICK_GROWTH: Final = 1.1  # of a tick without a takeover
QUIET_LOOKS: Final = 20  # without a task in sight, before the watcher sleeps without a tick
SLEEP_SECONDS: Final = 1.0  # the longest sleep: it bounds how late a hung task or an interrupt is noticed
JOIN_SECONDS: Final = 2.0  # for threads that have nothing left to do
FAILED_SECONDS: Final = 0.1  # that the event loop rests after a defect
ENDING_SECONDS: Final = 0.5  # for all tasks together that were cut off, or that are just ending


def build_role(task_limit: int) -> Role:
    """Return a role whose workers sleep on locks."""
    return Role(task_limit, _wake)


def _wake(worker: Worker) -> None:
    assert worker.sleeper is not None
    worker.sleeper.release()


class TaskPool:
    """The threads of one dispatcher."""

    def __init__(self, dispatcher: Dispatcher, *, name: str = "waitressd", task_log_seconds: float = 10.0) -> None:
        self._dispatcher = dispatcher
        self._role = dispatcher.role
        self._name = name
        self._task_log_seconds = task_log_seconds
        self._threads: list[threading.Thread] = []
        self._workers: list[Worker] = []
        self._bell = threading.Lock()  # held while the watcher may sleep; released to wake it
        self._bell.acquire()
        self._reported: dict[str, float] = {}  # worker name -> start of the task that was reported
        self._looked_for_hung = 0.0

    def start(self) -> None:
        """Start the threads. The thread that owns the server. Raises OSError: the system gives no more of them."""
        workers = [Worker(f"{self._name}-{number}") for number in range(self._role.task_limit)]
        # What the context holds at the start of serving is what every request finds in its own.
        context = contextvars.copy_context()
        # Last, so that a task worker leads first.
        for worker in (*workers, Worker(f"{self._name}-reserve", is_reserve=True)):
            worker.sleeper = threading.Lock()
            worker.sleeper.acquire()
            self._workers.append(worker)
            run = context.copy().run
            thread = threading.Thread(target=run, args=(self._work, worker), name=worker.name, daemon=True)
            self._threads.append(thread)
        self._dispatcher.logs.workers = self._workers
        for number, thread in enumerate(self._threads, 1):
            try:
                thread.start()
            except RuntimeError as error:
                text = (
                    f"cannot start thread {number} of {len(self._threads)}: {error}; lower threads, or raise the limit"
                )
                raise OSError(errno.EAGAIN, text) from None

    def join(self) -> bool:
        """Wait for the threads after `watch` returned; False when some still run the application."""
        self._role.stop()
        now = time.monotonic()
        for thread, worker in zip(self._threads, self._workers, strict=True):
            if thread.ident is None:
                continue  # never started
            end = now + (ENDING_SECONDS if is_busy(worker) else JOIN_SECONDS)
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def let_go(self) -> None:
        """Take every claim away in a child that was only forked: a task that goes on there meets `end_stray`."""
        for worker in self._workers:
            worker.claim.clear()
        self._dispatcher.let_go()

    def give_up(self) -> None:
        """Let `watch` return although the event loop does not end: it is ill. The thread inside `watch`."""
        say(logging.CRITICAL, "the event loop does not end; the process ends without it")
        self._dispatcher.finished = True

    @property
    def is_whole(self) -> bool:
        """Whether every thread is still there. Any thread."""
        return all(thread.is_alive() for thread in self._threads)

    def busy_workers(self) -> list[Worker]:
        """Return the workers that are inside a task. Any thread; a snapshot."""
        return [worker for worker in self._workers if is_busy(worker)]

    def log_stacks(self, message: str) -> None:
        """Log every running task with its stack. Any thread."""
        now = time.monotonic()
        for worker in self.busy_workers():
            log_stack(worker, message + ": %s of %s, %.1f s", describe(worker), _peer(worker), now - worker.started)

    # -- a worker thread

    def _work(self, worker: Worker) -> None:
        worker.thread_id = threading.get_ident()
        assert worker.sleeper is not None
        role = self._role
        assignment = role.enter(worker)
        while assignment is not Assignment.STOP:
            if assignment is Assignment.LEAD:
                assignment = self._lead(worker)
            elif assignment is Assignment.RUN:
                self._run_aside(worker)
                assignment = role.finish(worker)
            else:
                worker.sleeper.acquire()
                assignment = worker.assignment
        if not worker.is_reserve:
            self._dispatcher.run_last()

    def _run_aside(self, worker: Worker) -> None:
        assert worker.job is not None
        try:
            self._dispatcher.run_aside(worker, worker.job)
        except BaseException:  # border: as for the leader
            report_defect("a thread failed and goes on")

    def _lead(self, worker: Worker) -> Assignment:
        try:
            if self._dispatcher.lead(worker):
                return self._role.finish(worker)
        except BaseException:  # border: a defect of ours must not end the service of everybody
            report_defect("the dispatcher failed and goes on")
            time.sleep(FAILED_SECONDS)  # what fails may fail again at once
            return self._role.resign(worker) if self._role.still_leads(worker) else self._role.finish(worker)
        self._role.stop()
        self.ring()
        return self._role.resign(worker)

    # -- the watcher

    def watch(self, on_tick: Callable[[float], None]) -> None:
        """Move the role away from tasks that block, until everything is finished.

        `on_tick` is called with the monotonic time about once a second and after every signal.
        """
        role, dispatcher = self._role, self._dispatcher
        tick, quiet = LONGEST_TICK_SECONDS, 0
        while not dispatcher.finished:
            if role.look():
                tick = max(SHORTEST_TICK_SECONDS, tick / 2)
                quiet = 0
            else:
                tick = min(LONGEST_TICK_SECONDS, tick * TICK_GROWTH)
                quiet = 0 if role.has_claim() else quiet + 1
            if quiet > QUIET_LOOKS:
                if self._sleep_until_a_task_runs():
                    quiet = 0
            else:
                time.sleep(tick)
            now = time.monotonic()
            if now >= self._looked_for_hung + SLEEP_SECONDS:
                self._looked_for_hung = now
                self._report_hung(now)
            on_tick(now)

    def _sleep_until_a_task_runs(self) -> bool:
        """Sleep without a tick; False when the time was over and nobody rang."""
        # First say that a ring is wanted, then look: a task that began before this line is seen by the look, one that
        # begins after it rings. Both sides write first and read then, which proves something only where all threads see
        # writes in one order. The GIL gives that; without it, a processor may let each side read before the write of
        # the other has arrived. So the first sleep is a tick long, and `watch` looks again: by then, whatever either
        # side had written has arrived, and the wish stays as long as nobody rings.
        dispatcher = self._dispatcher
        wish_is_old = dispatcher.wake_watcher is not None
        dispatcher.wake_watcher = self.ring
        awake = self._role.has_claim() or dispatcher.finished
        awake = awake or self._bell.acquire(timeout=SLEEP_SECONDS if wish_is_old else LONGEST_TICK_SECONDS)
        if awake:
            dispatcher.wake_watcher = None
        return awake

    def owns(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of the pool's."""
        return thread in self._threads

    def ring(self) -> None:
        """Wake the watcher. Any thread, a signal handler too; harmless when it is awake."""
        self._dispatcher.wake_watcher = None
        with contextlib.suppress(RuntimeError):  # rung already
            self._bell.release()

    def _report_hung(self, now: float) -> None:
        if not self._task_log_seconds:
            return
        for worker in self.busy_workers():
            started = worker.started
            if now - started >= self._task_log_seconds and self._reported.get(worker.name) != started:
                self._reported[worker.name] = started
                log_stack(
                    worker, "%s of %s has been running for %.1f s", describe(worker), _peer(worker), now - started
                )


def _peer(worker: Worker) -> str:
    return worker.job.whose() if worker.job is not None else "-"
