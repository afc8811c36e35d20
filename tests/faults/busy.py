"""Busy keep-alive clients: each asks again and again, checks every answer, and says which request was lost."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.client import Address, BrokenAnswerError, Client


@dataclass
class Load:
    """What all clients together have seen."""

    answered: int = 0
    refused: int = 0  # connections that were not established: nothing was sent on them
    lost: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)  # guards all of them

    def note(self, *, answered: int = 0, refused: int = 0, lost: str = "") -> None:
        """Count something. Any client's thread."""
        with self._lock:
            self.answered += answered
            self.refused += refused
            if lost:
                self.lost.append(lost)


@contextmanager
def busy_clients(address: Address, count: int, target: str = "/") -> Iterator[Load]:
    """Let `count` clients ask while the block runs; afterwards everything is counted."""
    load, over = Load(), threading.Event()
    threads = [threading.Thread(target=_ask, args=(address, target, load, over)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join(30)


def _ask(address: Address, target: str, load: Load, over: threading.Event) -> None:
    client: Client | None = None
    answered_here = 0
    while not over.is_set():
        if client is None:
            answered_here = 0
            try:
                client = Client(address, timeout=20)
            except OSError:
                load.note(refused=1)
                over.wait(0.05)
                continue
        try:
            answer = client.get(target)
        except (OSError, BrokenAnswerError) as error:
            load.note(lost=f"request {answered_here + 1} of its connection: {error!r}")
            client.close()
            client = None
            continue
        answered_here += 1
        load.note(answered=1) if answer.status == 200 else load.note(lost=f"status {answer.status}")
        if answer.closes:
            client.close()
            client = None
    if client is not None:
        client.close()
