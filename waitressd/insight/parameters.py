"""The parameters of a question: each is checked, and a wrong one is answered by what is allowed."""

import math
from collections.abc import Sequence

from waitressd.insight.answers import BadQuestion, Query


class Parameters:
    """The parameters of one question to one endpoint, which takes those that are `allowed`. Raises BadQuestion."""

    def __init__(self, query: Query, *allowed: str) -> None:
        self._given = query.parameters
        self._path = query.path
        for name in self._given:
            if name not in allowed:
                takes = ", ".join(allowed) if allowed else "no parameter"
                raise BadQuestion(f"{name!r:.100} is no parameter of {query.path:.100}; it takes {takes}.")

    def text(self, name: str) -> str | None:
        """Return a parameter as it is; None where it was not given."""
        return self._given.get(name)

    def choice(self, name: str, allowed: Sequence[str]) -> str | None:
        """Return one of a few words. Raises BadQuestion."""
        value = self._given.get(name)
        if value is not None and value not in allowed:
            raise self._wrong(name, f"one of {', '.join(allowed)}")
        return value

    def flag(self, name: str) -> bool:
        """Return whether something was asked for: 1, or 0 as where it is not given. Raises BadQuestion."""
        return self.choice(name, ("0", "1")) == "1"

    def whole(self, name: str, default: int, high: int, low: int = 0) -> int:
        """Return a whole number within inclusive bounds. Raises BadQuestion."""
        value = self._given.get(name)
        if value is None:
            return default
        # No more digits than that: they are a client's, and a long number takes long to read.
        number = int(value) if value.isascii() and value.isdigit() and len(value) <= 15 else -1
        if not low <= number <= high:
            raise self._wrong(name, f"a whole number, {low} to {high}")
        return number

    def seconds(self, name: str) -> float:
        """Return a duration, 0.0 where it is not given. Raises BadQuestion."""
        value = self._given.get(name, "0")
        try:
            seconds = float(value) if len(value) <= 30 else math.nan
        except ValueError:
            seconds = math.nan
        if not (math.isfinite(seconds) and seconds >= 0):
            raise self._wrong(name, "a number of seconds, 0 or more")
        return seconds

    def _wrong(self, name: str, allowed: str) -> BadQuestion:
        return BadQuestion(f"{name} of {self._path:.100} is {allowed}, not {self._given[name]!r:.100}.")


def prefers_text(accept: str) -> bool:
    """Whether plain text is asked for, by the Accept field."""
    return "text/plain" in accept and "application/json" not in accept
