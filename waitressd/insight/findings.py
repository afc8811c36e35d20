"""What is the matter, in words: a situation as values in, a list of findings out.

Pure: knows no server, no thread and no clock. The page, the terminal, `/stats` and the log use the same sentences. Each
code has a section in the manual (`findings.rst`); a code is never given to another finding.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

SHOWN_IDS: Final = 20  # requests that one finding names; `/requests` has them all
STUCK_SECONDS: Final = 1.0  # without a turn of the event loop
SILENT_SECONDS: Final = 1.0  # without an answer of a worker process
QUEUE_SECONDS: Final = 1.0  # that the first request in the queue has waited
SAME_PLACE_TASKS: Final = 3  # at least so many at one place, and half of those that run
SAME_PLACE_SECONDS: Final = 2.0
QUEUE_SHARE: Final = 0.5  # of the time to answer
QUEUE_REQUESTS: Final = 20  # in a minute, from which such a share means something
CLIENT_SHARE: Final = 0.5  # of the threads or the connections
CLIENT_THREADS: Final = 4
CLIENT_CONNECTIONS: Final = 20
FAILED_SHARE: Final = 0.05  # of the answers of a minute
FAILED_ANSWERS: Final = 5
LATE_SECONDS: Final = 0.1  # of timers, at the 90th percentile

TITLES: Final[dict[str, str]] = {
    "WD01": "the event loop is stuck",
    "WD02": "a worker process does not answer",
    "WD03": "all threads are busy and requests wait",
    "WD04": "many requests are at the same place",
    "WD05": "answers are late because of the queue",
    "WD06": "one client holds many threads or connections",
    "WD07": "requests past their time limit hold threads",
    "WD08": "requests are refused",
    "WD09": "no more connections are accepted",
    "WD10": "many answers are errors",
    "WD11": "timers are late",
    "WD12": "the server stops",
}
"""What each code means, for lists and for the end of a finding."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is the matter."""

    code: str
    severity: str
    """'bad': requests are late, refused or lost because of it; 'warn': they may be soon, or somebody should know."""
    text: str
    """One sentence."""
    ids: tuple[str, ...] = ()
    """The requests that it is about, the oldest first; `waitressd requests` and `/requests/ID` take them."""


@dataclass(frozen=True, slots=True)
class Task:
    """A request that a thread runs."""

    id: str
    age_seconds: float
    """Since the thread has it."""
    client: str = ""
    place: str = ""
    """'file:line function'; empty where nobody has looked yet."""
    unchanged_seconds: float = 0.0
    """How long it has been there."""
    is_overdue: bool = False
    """Whether it is past its time limit."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """The requests that wait for a thread."""

    count: int = 0
    oldest_seconds: float = 0.0
    ids: tuple[str, ...] = ()
    """Of the first ones, in order."""


@dataclass(frozen=True, slots=True)
class Clients:
    """Who has the connections. Proxies that speak for many are not counted as clients."""

    connections: int = 0
    """All that are open."""
    busiest: str = ""
    """The client with the most of them."""
    busiest_connections: int = 0
    limit: int = 0
    has_descriptors: bool = True
    """False while accepting rests because the system gives no more of them."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What the last sixty seconds have brought."""

    answers: int = 0
    failed: int = 0
    """Of them, with status 500 to 599."""
    worst_route: str = ""
    """The route that failed most; empty for none, or for requests of which nobody has said the route."""
    worst_exception: str = ""
    """What it raised most, as one line."""
    total_seconds: float = 0.0
    """Of all phases, summed over the requests."""
    queue_seconds: float = 0.0
    refused_full: int = 0
    """503, because the queue was full."""
    refused_late: int = 0
    """503, because they had waited too long in it."""


@dataclass(frozen=True, slots=True)
class Leaving:
    """A stop that has begun."""

    state: str
    """'leaving' (not ready, still accepting), 'draining' or 'aborting'."""
    since_seconds: float
    left: int
    """Requests that are not complete."""
    oldest_id: str = ""


@dataclass(frozen=True, slots=True)
class SilentWorker:
    """A worker process that did not answer its master."""

    worker: int
    pid: int
    silent_seconds: float
    is_stopped: bool = False
    """Whether a signal or a debugger keeps it from running at all."""
    is_lost: bool = False
    """Whether it has not even written down for a while that it lives."""
    tasks: tuple[Task, ...] = ()
    """What its threads run, the oldest first."""
    oldest: str = ""
    """The first of them, as log lines name it."""


@dataclass(frozen=True, slots=True)
class Situation:
    """What is known of one process at one moment. The defaults are a server where nothing is the matter."""

    worker: int = 0
    """The place of a worker process; 0 for a single process, and for a master."""
    threads: int = 0
    """How many may run requests."""
    turn_age_seconds: float = 0.0
    """How long the event loop has not answered that it was asked to turn."""
    silent_workers: tuple[SilentWorker, ...] = ()
    tasks: tuple[Task, ...] = ()
    """The oldest first."""
    waiting: Waiting = field(default_factory=Waiting)
    clients: Clients = field(default_factory=Clients)
    minute: Minute = field(default_factory=Minute)
    late_seconds: float = 0.0
    """How late timers were in the last ten seconds, at the 90th percentile."""
    leaving: Leaving | None = None


def find(situation: Situation) -> list[Finding]:
    """Return what is the matter, the most urgent first: what is bad before what is not yet, and then by code."""
    findings = [finding for look in _LOOKS for finding in look(situation)]
    return sorted(findings, key=lambda finding: (finding.severity != "bad", finding.code))


def spell_seconds(seconds: float) -> str:
    """Say a duration as people do: '0.12 s', '3.2 s', '41 s', '12 min'."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:,.0f} min"


# -- one function for each code


def _stuck(situation: Situation) -> Iterable[Finding]:
    if situation.turn_age_seconds >= STUCK_SECONDS:
        age = spell_seconds(situation.turn_age_seconds)
        text = f"The event loop{_of_worker(situation)} has not turned for {age}: nobody is accepted or read."
        yield Finding("WD01", "bad", text)


def _silent(situation: Situation) -> Iterable[Finding]:
    for silent in situation.silent_workers:
        if silent.silent_seconds >= SILENT_SECONDS:
            name = f"Worker {silent.worker} (pid {silent.pid})"
            text = f"{name} has not answered for {spell_seconds(silent.silent_seconds)}: {_why_silent(silent)}."
            if silent.tasks:
                more = f", and {len(silent.tasks) - 1} more" if len(silent.tasks) > 1 else ""
                text += f" It has run {silent.oldest} for {spell_seconds(silent.tasks[0].age_seconds)}{more}."
            yield Finding("WD02", "bad", text, _ids(silent.tasks))


def _why_silent(silent: SilentWorker) -> str:
    if silent.is_stopped:
        return "a signal or a debugger has stopped it"
    return "something may hold its interpreter lock" if silent.is_lost or not silent.tasks else "it is very busy"


def _queued(situation: Situation) -> Iterable[Finding]:
    waiting, threads = situation.waiting, situation.threads
    is_full = len(situation.tasks) >= threads > 0
    if is_full and waiting.count and waiting.oldest_seconds >= QUEUE_SECONDS:
        whose = _of_worker(situation)
        busy = f"All {threads} threads{whose} are busy" if threads > 1 else f"The only thread{whose} is busy"
        since = spell_seconds(waiting.oldest_seconds)
        wait = f"{waiting.count:,} requests wait, the first for" if waiting.count > 1 else "1 request has waited for"
        yield Finding("WD03", "bad", f"{busy}, and {wait} {since}.", waiting.ids[:SHOWN_IDS])


def _same_place(situation: Situation) -> Iterable[Finding]:
    tasks = situation.tasks
    rests = [task for task in tasks if task.place and task.unchanged_seconds >= SAME_PLACE_SECONDS]
    for place, count in Counter(task.place for task in rests).most_common(1):
        if count >= SAME_PLACE_TASKS and 2 * count >= len(tasks):
            there = [task for task in rests if task.place == place]
            since = spell_seconds(max(task.unchanged_seconds for task in there))
            who = f"All {count}" if count == len(tasks) else f"{count} of {len(tasks)}"
            text = f"{who} busy threads{_of_worker(situation)} are at the same place, {place}, one of them for {since}."
            yield Finding("WD04", "warn", text, _ids(there))


def _late_by_queue(situation: Situation) -> Iterable[Finding]:
    minute = situation.minute
    if minute.answers >= QUEUE_REQUESTS and minute.queue_seconds >= QUEUE_SHARE * minute.total_seconds > 0:
        share, mean = minute.queue_seconds / minute.total_seconds, minute.queue_seconds / minute.answers
        text = f"Waiting for a thread{_of_worker(situation)} took {share:.0%} of the time to answer in the last minute"
        yield Finding("WD05", "warn", f"{text}, {spell_seconds(mean)} of each request on average.")


def _greedy_client(situation: Situation) -> Iterable[Finding]:
    clients, whose = situation.clients, _of_worker(situation)
    for client, count in Counter(task.client for task in situation.tasks if task.client).most_common(1):
        if count >= max(CLIENT_THREADS, CLIENT_SHARE * situation.threads):
            text = f"One client, {client}, holds {count} of {situation.threads} threads{whose}."
            yield Finding("WD06", "warn", text, _ids(task for task in situation.tasks if task.client == client))
            return
    if clients.busiest_connections >= max(CLIENT_CONNECTIONS, CLIENT_SHARE * clients.connections):
        held = f"{clients.busiest_connections:,} of {clients.connections:,} connections{whose}"
        yield Finding("WD06", "warn", f"One client, {clients.busiest}, holds {held}.")


def _overdue(situation: Situation) -> Iterable[Finding]:
    overdue = [task for task in situation.tasks if task.is_overdue]
    if overdue:
        whose, since = _of_worker(situation), spell_seconds(max(task.age_seconds for task in overdue))
        if len(overdue) == 1:
            text = f"1 request past its time limit still holds a thread{whose}, for {since} now."
        else:
            text = f"{len(overdue)} requests past their time limit still hold threads{whose}, the oldest for {since}."
        yield Finding("WD07", "warn", text, _ids(overdue))


def _refused(situation: Situation) -> Iterable[Finding]:
    full, late = situation.minute.refused_full, situation.minute.refused_late
    if full and late:
        why = f"the queue was full for {full:,} of them, and {late:,} had waited too long in it"
    else:
        why = "the queue was full" if full else "no thread was free in time"
    if full or late:
        whose = _of_worker(situation)
        refused = f"1 request{whose} was" if full + late == 1 else f"{full + late:,} requests{whose} were"
        yield Finding("WD08", "bad", f"{refused} answered 503 in the last minute: {why}.")


def _no_connections(situation: Situation) -> Iterable[Finding]:
    clients, whose = situation.clients, _of_worker(situation)
    if not clients.has_descriptors:
        text = f"Nobody is accepted at the moment: the descriptors or the memory{whose} have run out."
        yield Finding("WD09", "bad", text)
    elif clients.connections >= clients.limit > 0:
        text = f"{clients.connections:,} connections{whose} are open, the limit: new clients wait in the backlog."
        yield Finding("WD09", "bad", text)


def _failed(situation: Situation) -> Iterable[Finding]:
    minute = situation.minute
    if minute.failed >= max(FAILED_ANSWERS, FAILED_SHARE * minute.answers):
        share = minute.failed / max(minute.answers, minute.failed)
        mostly = ": ".join(part for part in (minute.worst_route, minute.worst_exception) if part)
        text = f"{share:.0%} of the answers{_of_worker(situation)} in the last minute were 5xx" + (
            f", mostly {mostly}" if mostly else ""
        )
        yield Finding("WD10", "bad", f"{text}.")


def _late_timers(situation: Situation) -> Iterable[Finding]:
    if situation.late_seconds >= LATE_SECONDS:
        late = spell_seconds(situation.late_seconds)
        text = f"Timers{_of_worker(situation)} are late by {late}: the interpreter lock or the processor is short."
        yield Finding("WD11", "warn", text)


def _stops(situation: Situation) -> Iterable[Finding]:
    leaving = situation.leaving
    if leaving is not None:
        who = f"Worker {situation.worker}" if situation.worker else "The server"
        left = "1 request is left" if leaving.left == 1 else f"{leaving.left:,} requests are left"
        oldest = f", the oldest is {leaving.oldest_id}" if leaving.oldest_id else ""
        text = f"{who} has been {leaving.state} for {spell_seconds(leaving.since_seconds)}; {left}{oldest}."
        yield Finding("WD12", "warn", text, (leaving.oldest_id,) if leaving.oldest_id else ())


_LOOKS: Final[tuple[Callable[[Situation], Iterable[Finding]], ...]] = (
    _stuck, _silent, _queued, _same_place, _late_by_queue, _greedy_client, _overdue, _refused, _no_connections,
    _failed, _late_timers, _stops,
)  # fmt: skip


def _of_worker(situation: Situation) -> str:
    return f" of worker {situation.worker}" if situation.worker else ""


def _ids(tasks: Iterable[Task]) -> tuple[str, ...]:
    return tuple(task.id for task in tasks)[:SHOWN_IDS]
