"""What a fleet of worker processes does when: events in, actions out. No process, socket, thread or clock.

Each event has the time (`now`, monotonic seconds, never backwards) and returns the actions that follow, in their order.
"""

import math

from waitressd.fleet.actions import Action, CodeFacts


class Plan:
    """The plan of one fleet. One thread, the master's.

    What the master promises: actions are carried out in order before the next event is told. Everything that was read
    from a link is told before the death of its process. Each worker that was spawned gets exactly one `died`, also one
    that was never born, because its template died or the fork failed; each code that was loaded gets exactly one
    `template_died`, and the one of `start` too if it is preloaded. Events about those that are gone are ignored.
    When several things are there at once, its own signals are told first: a signal to the whole group makes workers
    leave and the fleet stop, and nobody should be born between the two.
    """

    def __init__(self) -> None:
        self.due = math.inf  # when `tick` is wanted next, in the time of `now`; inf: no need

    def start(self, now: float, facts: CodeFacts) -> list[Action]:
        """Code 1 is loaded and its addresses are bound: its template waits for orders, or it is solo."""
        raise NotImplementedError

    def hello(self, now: float, code: int, facts: CodeFacts) -> list[Action]:
        """A new code is loaded. What follows: Bind, or nothing if it stands in for a lost template."""
        raise NotImplementedError

    def bound(self, now: float, code: int) -> list[Action]:
        """The addresses of a new code are open. It is accepted: workers move to it."""
        raise NotImplementedError

    def failed(self, now: float, code: int, why: str) -> list[Action]:
        """A new code is refused: it speaks another protocol, or cannot bind. Its process may still be there."""
        raise NotImplementedError

    def template_died(self, now: float, code: int, how: str) -> list[Action]:
        """The process of a code was reaped, whatever it was told; `how`: "status 1", its last words and the like."""
        raise NotImplementedError

    def born(self, now: float, worker: int, pid: int) -> list[Action]:
        """The process of a worker exists."""
        raise NotImplementedError

    def ready(self, now: float, worker: int) -> list[Action]:
        """A worker accepts."""
        raise NotImplementedError

    def leaving(self, now: float, worker: int) -> list[Action]:
        """A worker was told to end by somebody else: it drains by itself, and is replaced at once."""
        raise NotImplementedError

    def died(self, now: float, worker: int, how: str, *, is_clean: bool = False) -> list[Action]:
        """A worker was reaped, or was never born; `how` says what ended it, `is_clean`: with status 0."""
        raise NotImplementedError

    def hup(self, now: float) -> list[Action]:
        """SIGHUP: reopen the logs, read everything anew."""
        raise NotImplementedError

    def stop(self, now: float) -> list[Action]:
        """SIGTERM or SIGINT: drain and end; again: at once."""
        raise NotImplementedError

    def tick(self, now: float) -> list[Action]:
        """Time has passed. May come at any time; should come at `due`."""
        raise NotImplementedError
