"""How busy a dispatcher is."""

from tests.support.loop import GET, Loop
from waitressd.dispatch.snapshot import EMPTY, take_snapshot
from waitressd.net.eventloop import Tally


def test_a_server_at_rest() -> None:
    with Loop(threads=3) as loop:
        found = take_snapshot([loop.dispatcher])
    assert (found.busy_threads, found.idle_threads, found.queue_depth, found.oldest_wait_seconds) == (0, 3, 0, 0.0)
    assert found.connections == EMPTY.connections
    assert list(found.connections) == ["idle", "head", "body", "queued", "running", "flushing", "lingering"]


def test_connections_by_state() -> None:
    with Loop() as loop, loop.connect(), loop.connect() as head, loop.connect() as body, loop.connect() as queued:
        head.send(b"GET / HT")
        body.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1")
        with loop.busy():
            loop.request(queued, GET)
            found = take_snapshot([loop.dispatcher])
            loop.role.queue.clear()
        assert (found.busy_threads, found.idle_threads, found.queue_depth) == (1, 0, 1)
        assert {state: count for state, count in found.connections.items() if count} == {
            "idle": 1, "head": 1, "body": 1, "queued": 1,
        }  # fmt: skip
        assert found.oldest_wait_seconds >= 0


def test_handshakes_of_all_dispatchers() -> None:
    with Loop() as one, Loop() as two, Loop() as plain:
        for loop, count in ((one, 2), (two, 3)):
            tally = loop.dispatcher.handshakes = Tally(("full", "gone"))
            tally.counts["full"] = tally.open_count = count
        found = take_snapshot([one.dispatcher, two.dispatcher, plain.dispatcher])
        assert (found.open_handshakes, found.handshakes) == (5, {"full": 5, "gone": 0})
        assert take_snapshot([plain.dispatcher]).handshakes == {}


def test_a_task_that_runs_in_the_leader_counts() -> None:
    with Loop(threads=2) as loop:
        loop.worker.claim.append(print)
        found = take_snapshot([loop.dispatcher])
        loop.worker.claim.clear()
    assert (found.busy_threads, found.idle_threads) == (1, 1)


def test_no_lock_is_taken() -> None:
    """It is given back one day, or never: whoever asks how it is wants to know just then."""
    with Loop() as loop, loop.connect() as client, loop.busy():
        loop.request(client, GET)
        with loop.role.lock:
            assert take_snapshot([loop.dispatcher]).queue_depth == 1
        loop.role.queue.clear()
