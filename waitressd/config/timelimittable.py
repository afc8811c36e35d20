"""The part of the table of settings about time limits: how long a request may keep a thread."""

import re
from dataclasses import dataclass
from typing import Final

from waitressd import kinds
from waitressd.config.settings import Group
from waitressd.kinds import BadValueError, Kind

SHORTEST_SECONDS: Final = 0.1
LONGEST_SECONDS: Final = 86400.0

_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")


@dataclass(frozen=True, slots=True)
class RouteTimeout:
    """A limit for the requests of one route: its method ("" for any), its pattern, and the seconds, 0 for none."""

    method: str
    pattern: str
    seconds: float

    def __str__(self) -> str:
        """Write it as the setting takes it."""
        return " ".join(filter(None, (self.method, self.pattern, kinds.show_seconds(self.seconds))))

    @property
    def expression(self) -> str:
        """The pattern as a regular expression for a whole text; * is any run of characters."""
        return "(?s:" + ".*".join(map(re.escape, self.pattern.split("*"))) + ")"


def route_timeouts() -> Kind[tuple[RouteTimeout, ...]]:
    """Take any number of ``PATTERN SECONDS`` and ``METHOD PATTERN SECONDS``, in an order that means something."""
    seconds = kinds.duration(SHORTEST_SECONDS, LONGEST_SECONDS, or_zero=True)

    def read(word: str) -> float | None:
        try:
            return seconds.parse(word)
        except BadValueError:
            return None

    def parse(value: object) -> tuple[RouteTimeout, ...]:
        if value is None:
            return ()
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple):
            raise BadValueError
        words = [word for item in items for word in str(item).split()]
        found = []
        while words:
            method = words.pop(0) if len(words) > 2 and _METHOD.fullmatch(words[0]) and read(words[1]) is None else ""
            pattern, limit = words.pop(0), read(words.pop(0)) if words else None
            if limit is None:
                raise BadValueError(f"{pattern} is not followed by {seconds.words}")
            found.append(RouteTimeout(method, pattern, limit))
        return tuple(found)

    def show(routes: tuple[RouteTimeout, ...]) -> str:
        return " ".join(map(str, routes))

    return Kind("lines like /reports/* 60 or POST /upload 0", parse, show, "PATTERN SECONDS", repeats=True)


@dataclass(frozen=True, kw_only=True, init=False, repr=False, eq=False)  # see EffectiveSettings
class TimeLimitTable:
    """Every setting of time limits, as in `SettingsTable`."""

    request_timeout: float = Group.TIMES.setting(
        0.0,
        kinds.duration(SHORTEST_SECONDS, LONGEST_SECONDS, or_zero=True),
        "Seconds that a request may keep a thread; its client is then answered 504; 0 is no limit.\n"
        "A response that has begun is cut off visibly. The thread goes on: no server can end a thread. The log says "
        "where it is, and once more when it has returned. Time in the queue does not count.",
    )
    request_timeout_routes: tuple[RouteTimeout, ...] = Group.TIMES.setting(
        (),
        route_timeouts(),
        "Limits of their own for some requests, as lines like /reports/* 60 or POST /upload 0; the first that fits.\n"
        "A pattern is compared with the route that the application has named (waitressd.route), as a whole, and as "
        "long as it has named none with the path. * is any run of characters, 0 is no limit.",
    )
    request_timeout_interrupt: bool = Group.TIMES.setting(
        False,
        kinds.boolean(),
        "Raise waitressd.RequestTimeout in the thread of a request that is over its time, once.\n"
        "It ends Python code, and no call into C before that returns. It may come at any place, also in the middle of "
        "a finally block: see the page on time limits before you turn it on. CPython only.",
    )
    request_timeout_spares: int = Group.TIMES.setting(
        0,
        kinds.integer(0, 1024),
        "Threads that are started in place of those that hang in requests over their time, at most so many at once.\n"
        "Such a thread ends when it returns at last. So more than threads different ones may call the application.",
    )
