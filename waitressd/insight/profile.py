"""What requests do for a few seconds, waiting included: samples of their stacks, taken on demand (GET /profile).

A look at the threads needs the interpreter lock. Code that holds it for long makes looks rare, so each weighs as much
as the time since the one before: what holds the lock is seen when it lets go, and has its share.
"""

import os
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from waitressd.dispatch.lane import Lane
from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.endpoints import json_answer
from waitressd.insight.looks import look_at
from waitressd.insight.parameters import Parameters
from waitressd.insight.samples import Samples, Step, as_collapsed, as_speedscope
from waitressd.machine import MACHINE, Machine
from waitressd.net.ledger import route_of
from waitressd.net.stacks import REFUSAL
from waitressd.place import worker_number

NO_TIME_SECONDS: Final = 1e-6  # that sums of fractions differ by
ASIDE_SECONDS: Final = 0.1  # between two moments at which a client that has left is noticed
NO_ROUTE: Final = "(no route)"
LONG_AGO: Final = 0.0

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


class Sight(NamedTuple):
    """Where a thread is."""

    label: str
    """The route of its request, or the name of a thread without one."""
    steps: Sequence[Step]
    """Its frames, the outermost first."""
    since: float = LONG_AGO
    """When it began with its request, monotonic seconds."""


Look = Callable[[str], list[Sight]]
"""Looks at the threads that have a request ("busy"), or at all of them ("all"). Any thread."""


def look_through(lanes: Callable[[], Sequence[Lane]]) -> Look:
    """Return what looks at the threads of some lanes, without a lock of theirs."""

    def look(threads: str) -> list[Sight]:
        workers = {worker.thread_id: worker for lane in lanes() for worker in lane.busy_workers()}
        names = _threads_beside(workers) if threads == "all" else {}
        found = []
        for seen in look_at([*workers, *names], workers):
            if seen.exchange is not None:
                label = route_of(seen.exchange.environ or {}) or NO_ROUTE
                found.append(Sight(label, seen.stack.steps, seen.started))
            elif seen.thread_id in names:
                found.append(Sight(names[seen.thread_id], seen.stack.steps))
        return found

    return look


def _threads_beside(known: Collection[int]) -> dict[int, str]:
    """Return the identifiers and names of all other threads, but the one that asks."""
    me = threading.get_ident()
    return {
        thread.ident: f"thread {thread.name}"
        for thread in threading.enumerate()
        if thread.ident is not None and thread.ident != me and thread.ident not in known
    }


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


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question for a profile, checked."""

    seconds: int
    rate: int
    threads: str
    form: Format


def read_question(query: Query) -> Wanted:
    """Raises BadQuestion, which names what is allowed."""
    given = Parameters(query, "seconds", "rate", "threads", "format", "worker")
    ours = worker_number() or 1
    if given.whole("worker", ours, 1024) != ours:
        raise BadQuestion(f"This is worker {ours}.")
    return Wanted(
        given.whole("seconds", 5, 60, 1),
        given.whole("rate", 100, 200, 1),
        given.choice("threads", ("busy", "all")) or "busy",
        FORMATS[given.choice("format", tuple(FORMATS)) or "collapsed"],
    )


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
        if REFUSAL:
            return _refuse(501, REFUSAL)
        if not self._turn.acquire(blocking=False):
            return _refuse(409, "Another profile is being taken; one at a time.")
        body = self._record(wanted)
        next(body)  # from here on closing the generator gives the turn back, even if nobody reads a byte
        return Answer(200, wanted.form.content_type, body, wanted.form.fields)

    def _record(self, wanted: Wanted) -> Iterator[bytes]:
        try:
            yield b""
            samples = Samples()
            yield from self._sample(samples, wanted)
        finally:
            self._turn.release()
        yield from wanted.form.write(samples)

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
        for sight in self._look(wanted.threads):
            if sight.steps:
                samples.add(sight.label, _inner(sight.steps), moment.weight(sight.since))


def _inner(steps: Sequence[Step]) -> Sequence[Step]:
    """Leave away how the server came to call the application: that differs and says nothing. Something is left."""
    for number, (code, _) in enumerate(steps):
        if not code.co_filename.startswith(_OUTSIDE):
            return steps[number:]
    return steps[-1:]


def _refuse(status: int, text: str) -> Answer:
    return json_answer(status, {"error": text, "setting": None})
