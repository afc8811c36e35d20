"""The counts of a server that is asked by many at once: exactly what its clients and its request log have seen."""

import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.client import Address, Client
from tests.support.ledgers import NAMES, counts, ended
from tests.support.servers import running_server
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from waitressd.requestlog.record import RequestRecord

CLIENTS = 16
ROUNDS = 60


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

    def __init__(self, address: Address, seed: int) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()
        self._address = address
        self._random = random.Random(seed)
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Ask and leave, again and again."""
        client = Client(self._address)
        for _ in range(ROUNDS):
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


@pytest.fixture(params=[None, 1e-6])
def switch_interval(request: pytest.FixtureRequest) -> Iterator[None]:
    """Threads change places as usual, or as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(request.param or before)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("switch_interval")
@pytest.mark.parametrize("threads", [1, 8])
def test_the_counts_are_those_of_the_clients_and_of_the_request_log(threads: int, tmp_path: Path) -> None:
    records: list[RequestRecord] = []
    settings: dict[str, Any] = {"metrics": "on", "threads": threads, "request_log": records.append}
    with running_server(application, spool_directory=str(tmp_path), **settings) as server:
        visitors = [Visitor(server.address, seed) for seed in range(CLIENTS)]
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
        assert found["" if what == "bad" else what, status] == count
    # Clients that reset have seen nothing; the log has. The ledger knows nothing of a connection without a head.
    logged = Counter((NAMES[each.status // 100], each.ended_by or "complete") for each in records if each.method)
    logged.update((NAMES[each.status // 100], each.ended_by) for each in records if not each.method and each.status)
    assert ended([ledger]) == logged
    assert sum(logged.values()) >= sum(answers.values())
