"""Interrupt a task at any moment, again and again, and see whether what is raised in it ever leaves what is guarded."""

import random
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Final

from waitressd.http.errors import RequestTimeout
from waitressd.http.events import Request
from waitressd.net.interrupt import Interruption
from waitressd.net.timelimit import interruptible

REQUEST: Final = Request("GET", "/", "/", "", "HTTP/1.1", {})
STEPS: Final = 40  # of the task at most


@dataclass
class Timed:
    """What of an exchange counts here."""

    interruption: Interruption = field(default_factory=Interruption)

    @property
    def timing(self) -> "Timed":
        """Be its own."""
        return self


@dataclass
class Injections:
    """What became of many tasks."""

    tasks: int = 0
    sent: int = 0
    caught: int = 0  # by the application itself
    leaked: int = 0


def inject(count: int, seed: int = 0, switch_seconds: float = 1e-5) -> Injections:
    """Run tasks until so many were interrupted."""
    found, exchange, over = Injections(), Timed(), threading.Event()
    dice = random.Random(seed)

    def work(_request: Request, _body: BinaryIO | None, _exchange: Any, /) -> None:
        swallows = dice.random() < 0.3
        try:
            for _ in range(int(dice.random() * STEPS)):
                pass
        except RequestTimeout:
            found.caught += 1
            if not swallows:
                raise

    handle = interruptible(work)

    def run() -> None:
        while not over.is_set():
            try:
                while not over.is_set():
                    found.tasks += 1
                    handle(REQUEST, None, exchange)
            except RequestTimeout:
                found.leaked += 1

    before = sys.getswitchinterval()
    sys.setswitchinterval(switch_seconds)
    task = threading.Thread(target=run)
    task.start()
    try:
        while found.sent < count and task.is_alive():
            found.sent += exchange.interruption.send()
            time.sleep(0)  # and is back after a switch interval, somewhere in the middle of a task
    finally:
        over.set()
        task.join(30)
        sys.setswitchinterval(before)
    return found
