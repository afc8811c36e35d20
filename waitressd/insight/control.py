"""What can be changed at an admin address, for whoever has the right: a drain, the end of a request, a logger's level.

Whether somebody may is decided before, by the guard. There is no restart, no kill, and nothing that runs code.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from waitressd.insight.answers import Answer, BadQuestion, Endpoint, Query
from waitressd.insight.endpoints import json_answer, no_parameters
from waitressd.insight.guard import CONTROL
from waitressd.insight.view import LIFE_WORDS, ServerView
from waitressd.net.logs import say

GROUP: Final = "control"
MINUTES: Final = 10.0
MOST_MINUTES: Final = 24 * 60.0
MOST_LEVELS: Final = 32  # changed at the same time

_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

Cancel = Callable[[str], bool]
"""What ends a request for its client, by its id; False if there is none of that id."""


@dataclass(slots=True)
class Change:
    """The level of a logger as it was, until it is so again."""

    former: int
    level: int
    ends_at: float


class LogLevels:
    """Levels of loggers that were changed for some time.

    `_lock` guards the changes; a thread that lives as long as there are any takes them back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changes: dict[str, Change] = {}
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def change(self, name: str, level: int, seconds: float) -> int:
        """Set the level of a logger for so long; return the one that comes back. Raises BadQuestion."""
        logger = logging.getLogger(None if name == "root" else name)
        with self._lock:
            known = self._changes.get(name)
            if known is None and len(self._changes) >= MOST_LEVELS:
                raise BadQuestion(f"{MOST_LEVELS} loggers are changed already.")
            former = logger.level if known is None else known.former
            logger.setLevel(level)
            self._changes[name] = Change(former, level, time.monotonic() + seconds)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="waitressd-insight-log", daemon=True)
                self._thread.start()
            return former

    def close(self) -> None:
        """Take every change back now."""
        self._ends.set()
        thread = self._thread
        if thread is not None:
            thread.join(1.0)

    def _work(self) -> None:
        while self._take_back():
            self._ends.wait(0.5)

    def _take_back(self) -> bool:
        """Take back what is over; False when nothing is left, and this thread ends."""
        now = time.monotonic()
        with self._lock:
            for name, change in list(self._changes.items()):
                if now < change.ends_at and not self._ends.is_set():
                    continue
                del self._changes[name]
                logger = logging.getLogger(None if name == "root" else name)
                if logger.level == change.level:  # else the program has set another one since
                    logger.setLevel(change.former)
                    say(logging.WARNING, "the level of the logger %s is %s again", name, _name(change.former))
            if self._changes:
                return True
            self._thread = None
            return False


class Control:
    """The endpoints that change something."""

    def __init__(self, view: ServerView, cancel: Cancel | None = None) -> None:
        self._view = view
        self._cancel = cancel
        self._levels = LogLevels()

    def endpoints(self) -> list[Endpoint]:
        """Return what answers below /control."""
        found = [
            Endpoint(f"{CONTROL}/drain", GROUP, self._drain),
            # A lock of `logging` may be held by a handler that hangs.
            Endpoint(f"{CONTROL}/log", GROUP, self._log, is_slow=True),
        ]
        if self._cancel is not None:
            found.append(Endpoint(f"{CONTROL}/cancel", GROUP, self._cancel_one))
        return found

    def close(self) -> None:
        """Take back what was changed for a time."""
        self._levels.close()

    def _drain(self, query: Query) -> Answer:
        no_parameters(query)
        self._view.drain()
        return json_answer(202, {"effect": "the server stops, as by SIGTERM", "life": LIFE_WORDS[self._view.life]})

    def _cancel_one(self, query: Query) -> Answer:
        if set(query.parameters) != {"id"}:
            raise BadQuestion("The parameter is id, as /requests shows it.")
        assert self._cancel is not None
        if not self._cancel(query.parameters["id"]):
            return json_answer(404, {"error": "There is no request of that id.", "setting": None})
        return json_answer(202, {"effect": "the request ends for its client"})

    def _log(self, query: Query) -> Answer:
        parameters = query.parameters
        name, level = parameters.get("logger", ""), parameters.get("level", "").upper()
        if not {"logger", "level"} <= parameters.keys() <= {"logger", "level", "minutes"} or level not in _LEVELS:
            raise BadQuestion(f"The parameters are logger, level ({', '.join(_LEVELS)}), and minutes if you like.")
        if name != "root" and not isinstance(logging.root.manager.loggerDict.get(name), logging.Logger):
            raise BadQuestion("There is no logger of that name; the one above all others is root.")
        minutes = _minutes(parameters.get("minutes", f"{MINUTES:g}"))
        former = self._levels.change(name, logging.getLevelNamesMapping()[level], minutes * 60)
        until = datetime.fromtimestamp(time.time() + minutes * 60, UTC)
        document = {
            "effect": f"the level of the logger is {level} for {minutes:g} minutes",
            "logger": name,
            "level": level,
            "former_level": _name(former),
            "until": until.isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        return json_answer(200, document)


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= MOST_MINUTES:
        raise BadQuestion(f"minutes is a number up to {MOST_MINUTES:g}.")
    return minutes


def _name(level: int) -> str:
    return logging.getLevelName(level) if level else "that of the one above it"
