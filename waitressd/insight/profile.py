"""What requests do for a few seconds, waiting included: samples of their stacks, taken on demand (GET /profile).

A look at the threads needs the interpreter lock. Code that holds it for long makes looks rare, so each weighs as much
as the time since the one before: what holds the lock is seen when it lets go, and has its share.
"""

import json
import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from waitressd.dispatch.lane import Lane
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.samples import Samples, Step, as_collapsed, as_speedscope
from waitressd.machine import MACHINE, Machine
from waitressd.net import stacks
from waitressd.place import worker_number

NO_TIME_SECONDS: Final = 1e-6  # that sums of fractions differ by
ASIDE_SECONDS: Final = 0.1  # between two moments at which a client that has left is noticed
NO_ROUTE: Final = "(no route)"
LONGEST_ROUTE: Final = 200

_OUTSIDE: Final = (os.path.dirname(os.path.dirname(__file__)) + os.sep, threading.__file__)  # noqa: PTH120 - as text


class Format(NamedTuple):
    """A form of the answer."""

    write: Callable[[Samples], Iterator[bytes]]
    content_type: str
    fields: tuple[tuple[str, str], ...] = ()


FORMATS: Final = {
    "collapsed": Format(as_collapsed, "text/plain; charset=utf-8"),
    "speedscope": Format(
        as_speedscope,
        "application/json",
        (("Content-Disposition", 'attachment; filename="waitressd.speedscope.json"'),),
    ),
}


class Work(NamedTuple):
    """What a thread does at a moment."""

    thread_id: int
    label: str
    """The route of its request, or the name of a thread without one."""
    since: float
    """When it began with it, monotonic seconds."""
    what: object
    """Another object for another piece of work."""

    def is_still(self, before: "Work") -> bool:
        """Whether it is the same as before; its route may be known meanwhile."""
        return self.what is before.what and self.since == before.since


class Moment(NamedTuple):
    """A look at the threads."""

    now: float
    gap: float
    """Since the look before, or the beginning."""
    interval: float
    """As long as the gap should be."""

    def weight(self, since: float) -> float:
        """How much it counts what a thread has been doing since then.

        As much as the time that nobody looked. But where the interpreter lock has made that much longer than it should
        be, what has begun in the meantime has not been there all the time.
        """
        return min(self.gap, max(self.interval, self.now - since))


Look = Callable[[], list[Work]]
"""Says what threads do. Any thread."""


def requests_of(lanes: Collection[Lane]) -> list[Work]:
    """Return what the threads do that have a request. Any thread; takes no lock."""
    found = []
    for lane in lanes:
        for worker in lane.busy_workers():
            job, since = worker.job, worker.started
            if job is not None:
                found.append(Work(worker.thread_id, _route(job), since, job))
    return found


def _route(job: object) -> str:
    environ = getattr(job, "environ", None) or {}
    route = environ.get("waitressd.route")
    return route if isinstance(route, str) and 0 < len(route) <= LONGEST_ROUTE else NO_ROUTE


def threads_beside(work: list[Work]) -> list[Work]:
    """Return those threads of Python that have none of this work, but the one that asks."""
    known = {each.thread_id for each in work} | {threading.get_ident()}
    return [
        Work(thread.ident, f"thread {thread.name}", 0.0, thread)
        for thread in threading.enumerate()
        if thread.ident is not None and thread.ident not in known
    ]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for a profile, checked."""

    seconds: float = 5.0
    rate: int = 100
    threads: str = "busy"
    format: str = "collapsed"


def read_question(query: Query) -> Wanted:
    """Raises BadQuestion, which names what is allowed."""
    allowed = {"seconds", "rate", "threads", "format", "worker"}
    if unknown := query.parameters.keys() - allowed:
        raise BadQuestion(f"unknown parameter {min(unknown)}; there are {', '.join(sorted(allowed))}")
    get = query.parameters.get
    seconds, rate = _number(get("seconds", "5")), _number(get("rate", "100"))
    if not 1 <= seconds <= 60:
        raise BadQuestion("seconds is a number from 1 to 60")
    if not (1 <= rate <= 200 and rate == int(rate)):
        raise BadQuestion("rate is a whole number of samples a second, from 1 to 200")
    if (threads := get("threads", "busy")) not in {"busy", "all"}:
        raise BadQuestion("threads is busy or all")
    if (name := get("format", "collapsed")) not in FORMATS:
        raise BadQuestion(f"format is {' or '.join(FORMATS)}")
    ours = str(worker_number() or 1)
    if get("worker", ours) != ours:
        raise BadQuestion(f"this is worker {ours}")
    return Wanted(seconds, int(rate), threads, name)


def _number(text: str) -> float:
    """Return the number; one that is never allowed if it is none."""
    try:
        return float(text)
    except ValueError:
        return -1.0


class Profiler:
    """Takes profiles, one at a time. Any thread."""

    def __init__(self, look: Look, machine: Machine = MACHINE) -> None:
        self._look = look
        self._machine = machine
        self._turn = threading.Lock()

    @property
    def endpoint(self) -> Endpoint:
        """Where it answers."""
        return Endpoint("/profile", "profile", self.answer, is_slow=True)

    def answer(self, query: Query) -> Answer:
        """Answer when the time is over: until then the body has pieces without bytes. Slow lane."""
        wanted = read_question(query)
        if stacks.REFUSAL:
            return _refuse(501, stacks.REFUSAL)
        if not self._turn.acquire(blocking=False):
            return _refuse(409, "another profile is being taken; one at a time")
        body = self._record(wanted)
        next(body)  # from here on closing the generator gives the turn back, even if nobody reads a byte
        return Answer(200, FORMATS[wanted.format].content_type, body, FORMATS[wanted.format].fields)

    def _record(self, wanted: Wanted) -> Iterator[bytes]:
        try:
            yield b""
            samples = Samples()
            yield from self._sample(samples, wanted)
        finally:
            self._turn.release()
        yield from FORMATS[wanted.format].write(samples)

    def _sample(self, samples: Samples, wanted: Wanted) -> Iterator[bytes]:
        """Look again and again; yield nothing, and often enough that a client that has left is noticed."""
        monotonic, interval = self._machine.monotonic, 1 / wanted.rate
        began = looked = told = monotonic()
        end, due = began + wanted.seconds, began + interval
        while end - looked > NO_TIME_SECONDS:
            now = monotonic()
            if now - told >= ASIDE_SECONDS:
                told = now
                yield b""
            elif now < (next_look := min(due, end)):
                self._machine.sleep(min(next_look - now, ASIDE_SECONDS))
            else:
                self._take(samples, wanted, Moment(now, now - looked, interval))
                looked = now
                due = due + interval if due + interval > now else now + interval
        samples.seconds = looked - began

    def _take(self, samples: Samples, wanted: Wanted, moment: Moment) -> None:
        samples.count += 1
        work = self._look()
        others = threads_beside(work) if wanted.threads == "all" else []
        found = stacks.take([each.thread_id for each in (*work, *others)])
        # A stack must not be taken for that of another request.
        after = {each.thread_id: each for each in self._look()}
        work = [new for old in work if (new := after.get(old.thread_id)) and new.is_still(old)]
        for each in (*work, *others):
            if stack := found.get(each.thread_id):
                samples.add(each.label, _inner(stack.steps), moment.weight(each.since))


def _inner(steps: Sequence[Step]) -> Sequence[Step]:
    """Leave away how the server came to call the application: that differs and says nothing. Something is left."""
    for number, (code, _) in enumerate(steps):
        if not code.co_filename.startswith(_OUTSIDE):
            return steps[number:]
    return steps[-1:]


def _refuse(status: int, text: str) -> Answer:
    return Answer(status, "application/json", [json.dumps({"error": text}).encode()])
