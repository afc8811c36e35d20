"""A crowd that asks a server that counts, and what the server, its clients and its request log have counted then."""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.client import Address, Client
from tests.support.ledgers import NAMES, counts, ended
from tests.support.servers import running_server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from waitressd.requestlog.record import RequestRecord


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Do what the path says."""
    path = environ["PATH_INFO"]
    environ["waitressd.route"] = path
    if path == "/fail":
        raise RuntimeError("as it was asked to")
    if path == "/block":
        threading.Event().wait(0.003)
    status = "404 Not Found" if path == "/missing" else "200 OK"
    start_response(status, [("Content-Type", "text/plain")])
    if path == "/big":
        return [b"x" * 3_000_000]
    return iter([b"a", b"b"]) if path == "/stream" else [b"hello"]


class Visitor:
    """A client that remembers what it was answered."""

    def __init__(self, address: Address, seed: int, rounds: int) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self._address = address
        self._random = random.Random(seed)
        self._rounds = rounds
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Ask and leave, again and again."""
        client = Client(self._address)
        for _ in range(self._rounds):
            what = self._random.choice(["/", "/", "/", "/block", "/missing", "/fail", "/stream", "bad", "reset"])
            if what == "bad":
                client.send(b"GET / HTTP/9.9\r\n\r\n")
                self.answers[what, client.receive().status] += 1
            elif what == "reset":
                client.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
                client.reset()
            else:
                response = client.get(what)
                self.answers[what, response.status] += 1
                if response.get("Connection") != "close":
                    continue
            client.close()
            client = Client(self._address)
        client.close()


def check_counts(folder: Path, *, clients: int, rounds: int, threads: int) -> int:
    """Let so many clients ask so often, and compare all counts; return how many requests were logged."""
    logged: list[tuple[str, str]] = []

    def note(record: "RequestRecord") -> None:
        # The ledger knows nothing of a connection without a head.
        if record.method or record.status:
            logged.append((NAMES[record.status // 100], record.ended_by or "complete"))

    settings: dict[str, Any] = {"metrics": "on", "threads": threads, "request_log": note}
    with running_server(application, spool_directory=str(folder), **settings) as server:
        visitors = [Visitor(server.address, seed, rounds) for seed in range(clients)]
        for visitor in visitors:
            visitor.thread.start()
        for visitor in visitors:
            visitor.thread.join()
        (lane,) = server.server.lanes
        ledger = lane.dispatcher.ledger
        wait_until(lambda: not lane.dispatcher.channels)
    answers: Counter[tuple[str, int]] = Counter()
    for visitor in visitors:
        answers.update(visitor.answers)
    found: Counter[tuple[str, int]] = Counter()
    for (route, _, status, _), count in counts(ledger).items():
        found[route, status] += count
    for (what, status), count in answers.items():
        assert found["" if what == "bad" else what, status] == count, (what, status)
    # Clients that reset have seen nothing; the log has.
    assert ended([ledger]) == Counter(logged)
    assert len(logged) >= sum(answers.values()) >= clients
    return len(logged)
