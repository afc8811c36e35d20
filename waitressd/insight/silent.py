"""What is shown of a worker that does not answer its master: what it had written where others can read it.

The same documents that the worker itself would have given, as far as it is known; the rest is None. Pure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from waitressd.inhand import InHand
from waitressd.insight.documents import text, without_user_info
from waitressd.net import stacks

REQUEST_KEYS: Final = (
    "id", "request_id", "worker", "phase", "age_seconds", "phase_seconds", "queue_seconds", "method", "target",
    "has_query", "route", "client", "peer", "listener", "received_bytes", "expected_bytes", "sent_bytes",
    "pending_bytes", "status", "thread", "native_id", "cpu_share", "place", "unchanged_seconds", "limit_seconds",
    "overdue", "answered_status", "client_gone", "stack",
)  # fmt: skip
"""Of a request, as a worker writes it."""
THREAD_KEYS: Final = ("name", "role", "native_id", "busy_seconds", "request", "cpu_share", "place", "stack")
UNWRITTEN: Final = "the worker did not write its stacks in time"
STOPPED: Final = "the worker is stopped, and writes its stacks when it goes on"
LOST_SECONDS: Final = 2.0  # a worker that says nothing of itself for longer than that does not run Python code

_THREAD: Final = re.compile(r"(?:Thread|Current thread) 0x([0-9a-f]+)")
_FRAME: Final = re.compile(r'\s+File "(.*)", line (\d+) in (.*)')

Document = dict[str, Any]
_Written = tuple[str, int, str]  # a frame: file, line, function


@dataclass(frozen=True, slots=True)
class Held:
    """What is known of one worker without asking it, at one moment."""

    figures: Mapping[str, Any] = field(default_factory=dict)
    """What it has written of itself, and its master of it."""
    requests: Sequence[InHand] = ()
    """What its threads have in hand, the oldest first."""
    is_stopped: bool = False
    """Whether a signal or a debugger keeps it from running at all."""
    shows_query: bool = False

    @property
    def is_lost(self) -> bool:
        """Whether nothing in it runs Python code; not while nobody knows."""
        looked = self.figures.get("looked_seconds")
        return looked is not None and looked >= LOST_SECONDS


@dataclass(frozen=True, slots=True)
class Silence:
    """One worker that does not answer, and what there is instead. `now` is monotonic seconds."""

    worker: int
    held: Held
    now: float
    stacks: str = ""
    """Those of its threads, as the interpreter writes them."""
    stacks_missing: str | None = None
    """Why there are none, where they were wanted."""

    def id_of(self, request: InHand) -> str:
        """Return the id of a request: WORKER-CONNECTION-REQUEST."""
        return f"{self.worker}-{request.connection}-{request.number}"

    def document(self, path: str, parameters: Mapping[str, str]) -> Document | None:
        """Return what the worker would have answered; None for what only it could know."""
        made = _MADE.get(path)
        return made(self, parameters) if made is not None else None

    def request(self, request_id: str) -> Document | None:
        """Return one of its requests with its stack; None if it does not have it."""
        found = next((each for each in self.held.requests if self.id_of(each) == request_id), None)
        return None if found is None else {"stacks_missing": self.stacks_missing} | _request(self, found, stacked=True)

    def place_of(self, request: InHand) -> str:
        """Say where a request is; "" if there are no stacks."""
        return _place(_frames(self.stacks).get(request.thread, []))


def _requests(silence: Silence, parameters: Mapping[str, str]) -> Document:
    stacked = parameters.get("stack") == "1"
    rows = [_request(silence, each, stacked=stacked) for each in silence.held.requests]
    older = _number(parameters.get("older", "0"))
    rows = [
        row
        for row in rows
        if row["age_seconds"] >= older
        and parameters.get("phase", "application") == "application"
        and parameters.get("route", "") == ""
    ]
    document: Document = {"total": len(rows), "stacks_missing": silence.stacks_missing}
    if parameters.get("group") == "1":
        document["places"] = [
            {"place": row["place"], "count": 1, "oldest_seconds": row["age_seconds"], "ids": [row["id"]]}
            for row in rows
            if row["place"]
        ]
    return document | {"requests": rows}


def _request(silence: Silence, request: InHand, *, stacked: bool) -> Document:
    seconds = round(max(0.0, silence.now - request.since), 4)
    target = request.target if silence.held.shows_query else request.target.partition("?")[0]
    frames = _frames(silence.stacks).get(request.thread, [])
    known = {
        "id": silence.id_of(request),
        "worker": silence.worker,
        "phase": "application",
        "age_seconds": seconds,
        "phase_seconds": seconds,
        "method": text(request.method),
        "target": text(without_user_info(target)),
        "has_query": "?" in request.target,
        "thread": f"0x{request.thread:x}",
        "place": _place(frames) or None,
        "overdue": False,
        "client_gone": False,
        "stack": _rows(frames) or None if stacked else None,
    }
    return dict.fromkeys(REQUEST_KEYS) | known


def _threads(silence: Silence, parameters: Mapping[str, str]) -> Document:
    frames = _frames(silence.stacks)
    by_thread = {request.thread: request for request in silence.held.requests}
    rows = []
    for thread in [*by_thread, *(each for each in frames if each not in by_thread)]:
        request, there = by_thread.get(thread), frames.get(thread, [])
        known = {
            "name": f"0x{thread:x}",
            "role": "task" if request is not None else "other",
            "busy_seconds": None if request is None else round(max(0.0, silence.now - request.since), 4),
            "request": None if request is None else silence.id_of(request),
            "place": _place(there) or None,
            "stack": _rows(there) or None if parameters.get("stack") == "1" else None,
        }
        rows.append(dict.fromkeys(THREAD_KEYS) | known)
    return {"stacks_missing": silence.stacks_missing, "threads": rows}


_MADE: Final[Mapping[str, Callable[[Silence, Mapping[str, str]], Document]]] = {
    "/requests": _requests,
    "/threads": _threads,
}


def _frames(written: str) -> dict[int, list[_Written]]:
    """Return the frames of each thread by its identifier, the innermost call last, as the interpreter has written."""
    found: dict[int, list[_Written]] = {}
    frames: list[_Written] = []
    for line in written.splitlines():
        if thread := _THREAD.match(line):
            frames = found[int(thread[1], 16)] = []
        elif frame := _FRAME.match(line):
            frames.insert(0, (frame[1], int(frame[2]), frame[3]))
    return found


def _place(frames: Sequence[_Written]) -> str:
    return str(stacks.foremost(frames)) if frames else ""


def _rows(frames: Sequence[_Written]) -> list[Document]:
    return [
        {"file": text(frame.file), "line": frame.line, "function": text(frame.function), "own": frame.own}
        for frame in (stacks.frame(*written) for written in frames)
    ]


def _number(value: str) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.0  # those that answer say so
