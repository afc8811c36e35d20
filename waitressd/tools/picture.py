"""What ``waitressd top`` shows, however it is drawn: the last answers, and since when there are no new ones."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final

from waitressd.tools.client import Client, Question
from waitressd.tools.documents import Document
from waitressd.tools.failures import NoAnswerError
from waitressd.tools.tables import Flow, Line, Part, Table
from waitressd.tools.texts import long_time
from waitressd.tools.views import (
    REQUEST_COLUMNS,
    figures,
    findings,
    places,
    queue_places,
    request_rows,
    target,
    title_line,
)

EVERY_SECONDS: Final = 1.0
_FINDINGS: Final = 3
_QUESTIONS: Final = (
    Question("/stats", {"window": "10"}),
    Question("/requests", {"limit": "200", "group": "1"}),
)
_NOTHING: Final = Document({})


class Sort(Enum):
    """What the requests are ordered by; the largest first, or by name."""

    AGE = "age"
    WAITED = "waited"
    CPU = "cpu"
    ROUTE = "route"
    CLIENT = "client"
    PHASE = "phase"


_NUMBERS: Final = {Sort.AGE: "age_seconds", Sort.WAITED: "queue_seconds", Sort.CPU: "cpu_share"}


@dataclass(frozen=True, slots=True)
class Choice:
    """Which requests are shown, and in which order."""

    sort: Sort = Sort.AGE
    worker: str = ""
    """Of one worker alone; empty: of all."""
    text: str = ""
    """What must be in the target, route, client, place or id."""

    def apply(self, requests: Sequence[Document]) -> list[Document]:
        """Choose and order."""
        found = [item for item in requests if self._fits(item)]
        if name := _NUMBERS.get(self.sort):
            return sorted(found, key=lambda item: -(item.number(name) or 0.0))
        return sorted(found, key=lambda item: (item.text(self.sort.value), -(item.number("age_seconds") or 0.0)))

    def _fits(self, item: Document) -> bool:
        if self.worker and item.text("worker") != self.worker:
            return False
        texts = (target(item), *(item.text(key) for key in ("route", "client", "place", "id", "phase")))
        return not self.text or any(self.text.lower() in text.lower() for text in texts)

    def __str__(self) -> str:
        """Say what differs from all of them by age."""
        parts = [f"by {self.sort.value}"] if self.sort is not Sort.AGE else []
        parts += [f"worker {self.worker}"] if self.worker else []
        parts += [f"with '{self.text}'"] if self.text else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Picture:
    """The last answers of a server."""

    stats: Document = field(default_factory=lambda: _NOTHING)
    requests: Document = field(default_factory=lambda: _NOTHING)
    trouble: str = ""
    """Why there is no newer answer."""
    missing: tuple[str, ...] = ()
    """Why a server that answers does not give one of the two documents, as where it is not exposed."""
    gone_at: float = 0.0
    """The time of day (`time.time`) of the first question without an answer; 0.0 while there are answers."""

    @property
    def head(self) -> Document:
        """The document that says who answers."""
        return self.stats if self.stats.has("at") else self.requests

    @property
    def workers(self) -> list[str]:
        """The numbers of the worker processes."""
        return [item.text("worker") for item in self.head.rows("workers")]

    def heading(self, encoding: str = "utf-8") -> list[Part]:
        """Show who answers, what is the matter, and the figures."""
        parts: list[Part] = [title_line(self.head), *self.gone()]
        parts += [Line(text, "dim") for text in self.missing]
        parts += findings(self.stats)[:_FINDINGS]
        return parts + (figures(self.stats, encoding) if self.stats.has("at") else [])

    def gone(self) -> list[Part]:
        """Say since when the server does not answer; nothing while it does."""
        if not self.trouble:
            return []
        since = time.strftime("%H:%M:%S", time.localtime(self.gone_at))
        lasted = long_time(time.time() - self.gone_at)
        text = f"no answer since {since} ({lasted}), asking again: {self.trouble}"
        return [Flow(tuple(text.split()), "bad", " ")]

    def table(self, choice: Choice) -> Table:
        """Show the requests in flight."""
        return Table(REQUEST_COLUMNS, request_rows(self.chosen(choice), queue_places(self.requests)))

    def chosen(self, choice: Choice) -> list[Document]:
        """Return the requests of a choice, in its order."""
        return choice.apply(self.requests.rows("requests"))

    def places(self) -> Table:
        """Show the places where requests are."""
        return places(self.requests)


def look(client: Client, last: Picture) -> Picture:
    """Ask again. A server that does not answer keeps its last picture. Any thread; takes a timeout at most."""
    answers: list[Document] = []
    refusals: list[str] = []
    for question in _QUESTIONS:
        try:
            answers.append(client.ask_document(question)[1])
        except NoAnswerError as error:
            refusals.append(str(error))
            answers.append(_NOTHING)
            if error.may_pass:  # nobody is there; to ask for the other document would take as long again
                break
    if len(answers) < len(_QUESTIONS) or len(refusals) == len(_QUESTIONS):
        return replace(last, trouble=refusals[-1], gone_at=last.gone_at or time.time())
    stats, requests = answers
    return Picture(stats, requests, missing=tuple(refusals))
