"""What of the findings is said in the log: when one appears and when it is over, and nothing that is said elsewhere."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from waitressd.insight.findings import TITLES, Finding, spell_seconds

PAUSE_SECONDS: Final = 10.0  # between two lines about the beginning of findings with one code

SAID_AT_ONCE: Final = ("WD03", "WD08", "WD09")
"""What has a line of its own as soon as it begins: of the queue, and of the limit of connections. That it is over is
said here."""
NEVER_SAID: Final = ("WD07", "WD12")
"""What has lines of its own from its beginning to its end: each request past its time limit, and a stop."""
SLOW_TASKS: Final = "WD04"
"""What has a stack in the log for each of its requests, once they have run for `task_log_timeout`."""


class Say(Protocol):
    """How a line is left in the log."""

    def __call__(self, level: int, message: str, *values: object) -> None:
        """Leave it. Never waits."""


@dataclass(slots=True)
class _Known:
    """A finding that is there."""

    since: float
    is_said: bool


class Announcer:
    """Compares the findings of one look with those of the look before. One thread."""

    def __init__(self, say: Say, task_log_timeout: float) -> None:
        """With a `task_log_timeout` of 0 there are no stacks in the log."""
        self._say = say
        self._task_log_timeout = task_log_timeout
        self._said_at: dict[str, float] = {}
        self._known: dict[str, _Known] = {}

    def tell(self, findings: Sequence[Finding], now: float) -> None:
        """Say what is new, and what is over. `now` is the monotonic time."""
        found: Mapping[str, Finding] = {finding.code: finding for finding in reversed(findings)}
        for code, finding in found.items():
            if code not in self._known:
                self._known[code] = _Known(now, self._begin(finding, now))
        for code in self._known.keys() - found.keys():
            known = self._known.pop(code)
            if known.is_said and self._was_noticed(code, now - known.since):
                lasted = spell_seconds(now - known.since)
                self._say(logging.INFO, "%s is over after %s: %s", code, lasted, TITLES[code])

    def _begin(self, finding: Finding, now: float) -> bool:
        """Say that it begins, unless another line does; return whether its end is worth a line, too."""
        code = finding.code
        if code in NEVER_SAID or now < self._said_at.get(code, -PAUSE_SECONDS) + PAUSE_SECONDS:
            return False
        self._said_at[code] = now
        if code not in SAID_AT_ONCE and not (code == SLOW_TASKS and self._task_log_timeout):
            ids = f" ({', '.join(finding.ids)})" if finding.ids else ""
            self._say(logging.WARNING, "%s: %s%s", code, finding.text, ids)
        return True

    def _was_noticed(self, code: str, lasted_seconds: float) -> bool:
        """Whether somebody who reads the log knows of it."""
        return code != SLOW_TASKS or lasted_seconds >= self._task_log_timeout
