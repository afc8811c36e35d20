"""What a master asks its workers: all at once, for one document of theirs.

Of those that do not answer it has what they have written where others can read it.
"""

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import quote, urlencode

from waitressd.insight import merging
from waitressd.insight.answers import Answer, BadQuestion, Query
from waitressd.insight.crowd import PATIENCE_SECONDS, Member, Reply, ask_all
from waitressd.insight.documents import Place, answer, head
from waitressd.insight.findings import SilentWorker, Situation, Task, find
from waitressd.insight.fleetview import FleetView, member_row, unasked_rows
from waitressd.insight.guard import CONTROL
from waitressd.insight.parameters import prefers_text
from waitressd.insight.profile import FORMATS
from waitressd.insight.samples import join_speedscope
from waitressd.insight.silent import STOPPED, UNWRITTEN, Held, Silence

OK: Final = 200
NOT_FOUND: Final = 404  # by one worker, which may be with another
LONG_PATIENCE_SECONDS: Final = 5.0  # beyond what the question itself takes
SLOWEST_PROFILE_SECONDS: Final = 60.0
STACKS_SECONDS: Final = 0.5  # for a worker that does not answer to write its stacks


class Inquiry:
    """Asks the workers of one fleet. Any thread, several at once."""

    def __init__(self, view: FleetView, place: Place, clock: Callable[[], float] = time.monotonic) -> None:
        self._view = view
        self._place = place
        self._clock = clock
        self._heard: dict[int, float] = {}  # when a worker, by its pid, has answered last; a lost entry is no harm

    def answer(self, query: Query) -> Answer:
        """Ask those who know, and answer with what they say."""
        members, parameters = self._choose(query)
        asked = merging.page(parameters)
        target = quote(query.path, safe="/") + (f"?{urlencode(asked)}" if asked else "")
        replies = ask_all(members, query.method, target, query.accept, _patience(query))
        now = self._clock()
        self._heard |= {reply.member.pid: now for reply in replies if reply.status}
        answered = [reply for reply in replies if reply.status]
        silences = self._silences(query, [reply.member for reply in replies if not reply.status])
        bad = next((reply for reply in answered if reply.status != OK), None)
        good = [reply for reply in answered if reply.status == OK]
        if bad is not None and not (good and bad.status == NOT_FOUND):
            return _passed_on(bad)
        if query.method == "POST" and good:  # all have done the same
            return _passed_on(good[0])
        found = self._together(query, replies, silences, parameters)
        if found is None:
            text = "No worker has answered in time." if members else "There is no worker to ask."
            return answer(self._head(replies) | {"error": text, "setting": None}, 503)
        return found

    def _choose(self, query: Query) -> tuple[list[Member], dict[str, str]]:
        """Return whom to ask, and with which parameters: one worker if the question names it. Raises BadQuestion."""
        parameters, members = dict(query.parameters), self._view.members()
        name = parameters.pop("worker", "")
        if query.path.startswith("/requests/"):
            name = query.path.removeprefix("/requests/").partition("-")[0]
        elif query.path == f"{CONTROL}/cancel":
            name = parameters.get("id", "").partition("-")[0]
        if not name:
            return members, parameters
        chosen = [member for member in members if str(member.worker) == name]
        if not chosen and "worker" in query.parameters:
            known = ", ".join(dict.fromkeys(str(member.worker) for member in members))
            raise BadQuestion(f"worker is the number of a worker: {known or 'there is none at the moment'}.")
        return chosen or members, parameters

    def _together(
        self, query: Query, replies: list[Reply], silences: Sequence[Silence], parameters: Mapping[str, str]
    ) -> Answer | None:
        """Make one answer of those that have come, and of what is known of the others; None if that is nothing."""
        path, good = query.path, [reply for reply in replies if reply.status == OK]
        row = next(filter(None, (each.request(path.removeprefix("/requests/")) for each in silences)), None)
        if row is not None:
            return answer(self._head(replies) | row)
        if path == "/profile" and good and all(map(_is_document, good)):
            form = FORMATS["speedscope"]
            return Answer(OK, form.content_type, join_speedscope(reply.body for reply in good), form.fields)
        if good and not (merging.can_merge(path) and all(map(_is_document, good))):
            return Answer(OK, good[0].content_type, [reply.body for reply in good] + _texts(silences))
        if silences and path == "/threads" and prefers_text(query.accept):
            return Answer(OK, "text/plain; charset=utf-8", _texts(silences))
        documents = [(reply.member.worker, json.loads(reply.body)) for reply in good]
        instead = [(each.worker, each.document(path, parameters)) for each in silences]
        documents += [(worker, document) for worker, document in instead if document is not None]
        if not documents:
            return None
        merged = merging.merge(path, documents, parameters)
        if "findings" in merged:
            merging.add_silent(merged, (each.held.figures for each in silences))
            merged["findings"] = [*map(asdict, self._silent(replies)), *merged["findings"]]
        rows = {name: iter(value) for name, value in merged.items() if isinstance(value, list)}
        return answer(self._head(replies) | merged | rows)

    def _silences(self, query: Query, members: Iterable[Member]) -> list[Silence]:
        """Say what is known of workers that have not answered; their stacks where the question is for stacks."""
        wanted = query.path == "/threads" or query.path.startswith("/requests/") or query.parameters.get("stack") == "1"
        found = []
        for member in members:
            held = member.held()
            if held is not None:
                stacks = member.stacks(STACKS_SECONDS) if wanted and not held.is_stopped else ""
                missing = (STOPPED if held.is_stopped else UNWRITTEN) if wanted and not stacks else None
                found.append(Silence(member.worker, held, time.monotonic(), stacks, missing))
        return found

    def _silent(self, replies: Iterable[Reply]) -> Iterable[Any]:
        silent = [self._silent_worker(reply) for reply in replies if not reply.status]
        return find(Situation(silent_workers=tuple(silent)))

    def _silent_worker(self, reply: Reply) -> SilentWorker:
        member, held = reply.member, reply.member.held() or Held()
        silence = Silence(member.worker, held, time.monotonic())
        return SilentWorker(
            member.worker,
            member.pid,
            self._silence(reply),
            is_stopped=held.is_stopped,
            is_lost=held.is_lost,
            tasks=tuple(Task(silence.id_of(each), silence.now - each.since) for each in held.requests),
            oldest=held.requests[0].describe() if held.requests else "",
        )

    def _silence(self, reply: Reply) -> float:
        """For how long a worker has said nothing, as far as it was asked, or has not written down that it lives."""
        if reply.status:
            return 0.0
        now, held = self._clock(), reply.member.held() or Held()
        # Nobody may have asked for a while: then it is silent since it has last written down anything.
        return max(now - self._heard.setdefault(reply.member.pid, now), held.figures.get("looked_seconds") or 0.0)

    def _head(self, replies: Sequence[Reply]) -> dict[str, Any]:
        """Return what every document begins with; where nobody was asked, nobody has answered or been silent."""
        rows = [
            member_row(reply.member, answered=bool(reply.status), silent_seconds=round(self._silence(reply), 3))
            for reply in replies
        ]
        return head(self._place, self._view.state.life, time.time()) | {"workers": rows or unasked_rows(self._view)}


def _texts(silences: Iterable[Silence]) -> list[bytes]:
    """Write the stacks of workers that have not answered."""
    return [
        f"Worker {each.worker} does not answer. {each.stacks or each.stacks_missing}\n\n".encode(
            "utf-8", "backslashreplace"
        )
        for each in silences
    ]


def _patience(query: Query) -> float:
    if query.path == "/profile":
        try:
            return min(float(query.parameters.get("seconds", "5")), SLOWEST_PROFILE_SECONDS) + LONG_PATIENCE_SECONDS
        except ValueError:
            return LONG_PATIENCE_SECONDS  # which the workers will say
    # What reads files, or waits for a lock of logging.
    is_long = query.method == "POST" or query.path == "/config" or query.path.startswith("/requests/")
    return LONG_PATIENCE_SECONDS if is_long else PATIENCE_SECONDS


def _is_document(reply: Reply) -> bool:
    return reply.content_type.startswith("application/json")


def _passed_on(reply: Reply) -> Answer:
    return Answer(reply.status, reply.content_type, [reply.body])
