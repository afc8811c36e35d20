"""One event loop with its threads: those that run tasks, and one in reserve that never does.

A worker thread sleeps on a lock of its own, so that a wake-up reaches exactly the one that is meant. Who takes the
dispatcher role away from a task that blocks is the watcher's business (`watcher.py`).
"""

import contextvars
import errno
import itertools
import threading
from typing import Final

from waitressd.dispatch.bounds import Bounds
from waitressd.dispatch.delays import Delays
from waitressd.dispatch.dispatcher import Dispatcher
from waitressd.dispatch.reports import describe, is_busy, log_stack
from waitressd.dispatch.role import Assignment, Role, Worker
from waitressd.machine import MACHINE, Machine
from waitressd.net.logs import report_defect
from waitressd.net.poller import Poller

JOIN_SECONDS: Final = 2.0  # for threads that have nothing left to do
FAILED_SECONDS: Final = 0.1  # that the event loop rests after a defect
ENDING_SECONDS: Final = 0.5  # for all tasks together that were cut off, or that are just ending


def _wake(worker: Worker) -> None:
    assert worker.sleeper is not None
    worker.sleeper.release()


class Lane:
    """One event loop and its threads. Lanes know nothing of each other; a watcher looks after all of them.

    Everything here is for the thread that owns the server, unless a method says otherwise.
    """

    def __init__(
        self,
        poller: Poller,
        bounds: Bounds,
        *,
        name: str = "waitressd",
        task_log_timeout: float = 10.0,
        machine: Machine = MACHINE,
    ) -> None:
        self._role = Role(bounds.threads, _wake, machine)
        self.dispatcher = Dispatcher(poller, self._role, bounds, machine)
        self.on_end = _ring_nobody  # called by the last leader; the watcher puts its bell here
        self.delays = Delays()  # of the watcher
        self._machine = machine
        self._task_log_timeout = task_log_timeout
        self._name = name
        self._thread_count = bounds.threads
        self._numbers = itertools.count()
        self._context = contextvars.Context()
        self.workers = self.dispatcher.logs.workers  # of which some may be replaced while it runs
        self.workers += [Worker(f"{name}-{next(self._numbers)}") for _ in range(bounds.threads)]
        # Last, so that a task worker leads first.
        self.workers.append(Worker(f"{name}-reserve", is_reserve=True))
        self.timekeeper = self.dispatcher.timekeeper
        self.next_look = 0.0  # of the watcher, at what has been running for long
        self._reported: dict[str, float] = {}  # worker name -> start of the task that was reported

    def start(self) -> None:
        """Start the threads. Raises OSError: the system gives no more of them."""
        # What the context holds at the start of serving is what every request finds in its own.
        self._context = contextvars.copy_context()
        for worker in self.workers:
            self._equip(worker)
        for number, thread in enumerate(self._threads, 1):
            try:
                thread.start()
            except RuntimeError as error:
                text = f"cannot start thread {number} of {len(self._threads)}: {error}"
                raise OSError(errno.EAGAIN, text + "; lower threads, or raise the limit") from None

    def _equip(self, worker: Worker) -> threading.Thread:
        """Give a worker what it sleeps on, and a thread, which is not started."""
        worker.sleeper = self._machine.new_lock()
        worker.sleeper.acquire()
        run = self._context.copy().run
        worker.thread = self._machine.new_thread(target=run, args=(self._work, worker), name=worker.name, daemon=True)
        return worker.thread

    @property
    def _threads(self) -> list[threading.Thread]:
        return [worker.thread for worker in list(self.workers) if worker.thread is not None]

    def cut_off(self) -> None:
        """End the drain: log what still runs, and cut off every client that is left. Any thread."""
        self.log_stacks("cut off by the stop")
        self.dispatcher.abort()

    def end(self) -> bool:
        """Give everything back once the loop has ended, or will not; False when threads still run the application."""
        if not self.dispatcher.finished:  # something went wrong, and the threads know of no stop
            self.dispatcher.abort()
        has_ended = self.join()
        self.dispatcher.close()
        return has_ended

    def join(self) -> bool:
        """Wait for the threads once the event loop has ended; False when some still run the application."""
        self._role.stop()
        now = self._machine.monotonic()
        for worker in list(self.workers):
            thread = worker.thread
            if thread is None or thread.ident is None:
                continue  # never started
            end = now + (ENDING_SECONDS if is_busy(worker) else JOIN_SECONDS)
            thread.join(max(0.0, end - self._machine.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def let_go(self) -> None:
        """Take every claim away in a child that was only forked: a task that goes on there meets `end_stray`."""
        for worker in self.workers:
            worker.claim.clear()
        self.dispatcher.let_go()

    def wake(self) -> None:
        """Make the loop turn. Any thread."""
        self.dispatcher.poller.wake()

    @property
    def turned_at(self) -> float:
        """When the loop turned last, monotonic seconds. Any thread."""
        return self.dispatcher.now

    @property
    def is_whole(self) -> bool:
        """Whether every thread is still there. Any thread."""
        return all(thread.is_alive() for thread in self._threads)

    @property
    def is_accepting(self) -> bool:
        """Whether it has listeners, and they do not rest because descriptors or memory ran out. Any thread."""
        return self.dispatcher.is_accepting()

    @property
    def has_ended(self) -> bool:
        """Whether the loop has ended, and its threads end, too. Any thread."""
        return self.dispatcher.finished

    def busy_workers(self) -> list[Worker]:
        """Return the workers that are inside a task. Any thread; a snapshot."""
        return [worker for worker in self.workers if is_busy(worker)]

    def log_stacks(self, message: str) -> None:
        """Log every running task with its stack. Any thread."""
        now = self._machine.monotonic()
        for worker in self.busy_workers():
            log_stack(worker, message + ": %s, %.1f s", self._describe(worker), now - worker.started)

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
        if worker.is_replaced:  # it leaves the pool before it ends: nobody is to miss it
            self.workers.remove(worker)
        if role.stopping and not worker.is_reserve:
            self.dispatcher.run_last()

    def _run_aside(self, worker: Worker) -> None:
        assert worker.job is not None
        try:
            self.dispatcher.run_aside(worker, worker.job)
        except BaseException:  # border: as for the leader
            report_defect("a thread failed and goes on")

    def _lead(self, worker: Worker) -> Assignment:
        try:
            if self.dispatcher.lead(worker):
                return self._role.finish(worker)
        except BaseException:  # border: a defect of ours must not end the service of everybody
            report_defect("the dispatcher failed and goes on")
            self._machine.sleep(FAILED_SECONDS)  # what fails may fail again at once
            return self._role.resign(worker) if self._role.still_leads(worker) else self._role.finish(worker)
        self._role.stop()
        self.on_end()
        return self._role.resign(worker)

    def owns(self, thread: threading.Thread) -> bool:
        """Whether a thread is one of the lane's."""
        return thread in self._threads

    def look(self, now: float) -> None:
        """Look at the tasks that have been running for long. The watcher's thread."""
        self.report_hung(now)
        for ending in self.timekeeper.look(now):
            self.dispatcher.settle_soon(ending)
        if self.timekeeper.limits.request_timeout_spares:
            self._replace_late()
        self.next_look = now + self.timekeeper.look_seconds

    def cancel(self, name: str) -> bool:
        """End a request by its name, as if its time were over; False if none of that name waits or runs. Any thread."""
        ending = self.timekeeper.cancel(name)
        if ending is not None:
            self.dispatcher.settle_soon(ending)
        return ending is not None

    def _replace_late(self) -> None:
        """Start a thread in place of each that hangs in a late task, as many as may be. The watcher's thread."""
        workers = list(self.workers)
        left = self.timekeeper.limits.request_timeout_spares - sum(worker.is_replaced for worker in workers)
        for task in self.timekeeper.late_tasks:
            if left > 0 and not task.worker.is_replaced and self._role.replace(task.worker, task.exchange):
                left -= 1
        present = sum(not worker.is_replaced for worker in self.workers) - 1  # the reserve
        for _ in range(self._thread_count - present):
            worker = Worker(f"{self._name}-{next(self._numbers)}")
            try:
                self._equip(worker).start()
            except RuntimeError as error:  # the next look tries again
                self.dispatcher.logs.exhausted("cannot start a thread in place of one that hangs: %s", error)
                return
            self.workers.append(worker)

    def report_hung(self, now: float) -> None:
        """Log the stack of each task that has been running for too long, once. The watcher's thread."""
        if not self._task_log_timeout:
            return
        for worker in self.busy_workers():
            started = worker.started
            if now - started >= self._task_log_timeout and self._reported.get(worker.name) != started:
                self._reported[worker.name] = started
                log_stack(worker, "%s has been running for %.1f s", self._describe(worker), now - started)

    def _describe(self, worker: Worker) -> str:
        whose = worker.job.whose() if worker.job is not None else "-"
        return f"{describe(worker)} of {whose} ({self.dispatcher.logs.name(worker.job)})"


def _ring_nobody() -> None:
    """Where nobody watches."""
