"""What a master shows somebody besides its log: where the fleet serves, and what it waits for."""

import logging
import os
import sys
import time
from typing import Final

from waitressd import console
from waitressd.fleet.handover import HandOver
from waitressd.fleet.plan import Plan
from waitressd.fleet.states import Life, WorkerStage
from waitressd.net.logs import say
from waitressd.operatorlog import operator_log

SERVING: Final = "Serving on "
_LOOK_SECONDS: Final = 1.0
_NEVER: Final = float("inf")


class Shown:
    """The master's thread."""

    def __init__(self, hand: HandOver, plan: Plan) -> None:
        self._hand = hand
        self._plan = plan
        self._unsaid = tuple(hand.listeners)
        is_watched = hand.can_reload and hand.logs.level < logging.WARNING and console.is_screen(sys.stderr)
        self._waiting = console.Waiting(operator_log.write if is_watched else None)
        self._stops_at = _NEVER

    @property
    def due(self) -> float:
        """When to look again at the latest."""
        is_waiting = self._waiting.is_watched and self._what_is_waited_for(0.0) != ""
        return time.monotonic() + _LOOK_SECONDS if is_waiting else _NEVER

    def say_addresses(self) -> None:
        """Say once where the fleet serves: in the log, and to somebody who may not read that."""
        lines = [listener.announce(f"{SERVING}http://{listener.name}") for listener in self._unsaid]
        self._unsaid = ()
        self.end()
        for line in lines:
            say(logging.INFO, line)
        if lines and self._waiting.is_watched:
            operator_log.write(console.banner(self._start(lines), coloured=console.takes_colours(sys.stderr)))
        elif self._hand.prints:
            for line in lines:
                operator_log.write(line + "\n")

    def _start(self, lines: list[str]) -> console.Start:
        adjustments = self._hand.hello.adjustments
        return console.Start(
            addresses=[line.removeprefix(SERVING) for line in lines],
            threads=adjustments.threads,
            workers=self._hand.hello.workers,
            config=self._hand.logs.config,
            admin=str(next(iter(adjustments.admin_listen), "")),
            reload_pid=os.getpid(),
        )

    def look(self, now: float) -> None:
        """Say what takes long."""
        if self._waiting.is_watched:
            self._waiting.look(now, self._what_is_waited_for(now))

    def end(self) -> None:
        """Nothing is waited for any more."""
        self._waiting.end()

    def _what_is_waited_for(self, now: float) -> str:
        plan = self._plan
        workers = plan.crew.workers.values()
        match plan.life:
            case Life.STARTING:
                ready = sum(worker.stage is WorkerStage.SERVING for worker in workers)
                return f"loading: {ready} of {plan.succession.current.facts.workers} workers serve"
            case Life.STOPPING:
                if self._stops_at == _NEVER:
                    self._stops_at = now + plan.succession.current.facts.shutdown_timeout
                return console.finishing(len(workers), "worker", self._stops_at - now)
            case _ if plan.succession.candidate is not None:
                return "reload: the new code is being loaded"
            case _:
                return ""
