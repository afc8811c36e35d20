"""Stops: under load, with half-sent requests, with applications that hang."""

import signal
import threading
import time
from collections import Counter

from tests.faults.busy import busy_clients
from tests.faults.crowd import crowd, send_all
from tests.faults.report import Report, scenario
from tests.faults.target import target
from tests.faults.threads import HANG

ROUNDS = 3


@scenario("stop-under-load", 60)
def stop_under_load(report: Report) -> None:
    """SIGTERM under 50 busy keep-alive clients."""
    lost: Counter[str] = Counter()
    answered, statuses, longest = 0, set(), 0.0
    for number in range(ROUNDS):
        with target() as server:
            with busy_clients(server.address, 50, "/work?5" if number % 2 else "/") as load:
                time.sleep(1.5)
                server.signal(signal.SIGTERM)
                seconds, status = server.ended_within(20)
            lost.update(load.lost)
            answered += load.answered
            statuses.add(status)
            longest = max(longest, seconds)
    report.that(
        f"requests lost in {ROUNDS} stops", "0", f"{lost.total()} of {answered} {dict(lost) or ''}", ok=not lost
    )
    report.equal("exit status", sorted(statuses), [0])
    report.at_most("the longest stop", longest, 3, "s")


@scenario("stop-new-connections", 60)
def stop_new_connections(report: Report) -> None:
    """SIGTERM while clients come on new connections all the time."""
    lost: Counter[str] = Counter()
    answered = 0
    for _ in range(ROUNDS):
        with target() as server:
            over = threading.Event()

            def come_and_go(server: object = server, over: threading.Event = over) -> None:
                nonlocal answered
                while not over.is_set():
                    try:
                        client = server.connect()  # type: ignore[attr-defined]  # a Target
                    except OSError:
                        return
                    with client:
                        try:
                            client.get("/", "Connection: close")
                            answered += 1
                        except (OSError, AssertionError) as error:
                            lost[repr(error)] += 1

            threads = [threading.Thread(target=come_and_go) for _ in range(20)]
            for thread in threads:
                thread.start()
            time.sleep(1)
            server.signal(signal.SIGTERM)
            server.ended_within(20)
            over.set()
            for thread in threads:
                thread.join()
    report.that(
        f"requests lost in {ROUNDS} stops", "0", f"{lost.total()} of {answered} {dict(lost) or ''}", ok=not lost
    )


@scenario("stop-half-sent", 30)
def stop_half_sent(report: Report) -> None:
    """A request line and an upload, half sent when SIGTERM comes, are still answered."""
    with target() as server:
        line, upload, answering = server.connect(), server.connect(), server.connect()
        with line, upload, answering:
            line.send(b"GET / HT")
            upload.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 500_000)
            answering.send(b"GET /work?1500 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.3)
            server.signal(signal.SIGTERM)
            time.sleep(1)
            line.send(b"TP/1.1\r\nHost: a\r\n\r\n")
            upload.send(b"x" * 500_000)
            begun = time.monotonic()
            answers = [line.receive(), upload.receive("POST"), answering.receive()]
        report.equal("answers", [answer.status for answer in answers], [200, 200, 200])
        report.equal("each says that it is the last", [answer.closes for answer in answers], [True, True, True])
        report.equal("the upload is whole", answers[1].body, b"1000000")
        _, status = server.ended_within(20)
        report.at_most("exit after the last answer", time.monotonic() - begun - 0.2, 3, "s")
        report.equal("exit status", status, 0)


@scenario("stop-reader", 60)
def stop_reader(report: Report) -> None:
    """A client that is in the middle of a large answer when SIGTERM comes gets the rest of it."""
    with target() as server, server.connect(receive_buffer_bytes=65536) as client:
        client.send(b"GET /blocks?320 HTTP/1.1\r\nHost: a\r\n\r\n")
        client.sock.recv(1000)
        server.signal(signal.SIGTERM)
        received = b"x"
        total = 1000
        while received:
            received = client.sock.recv(1 << 20)
            total += len(received)
        report.at_least("bytes of 20 MiB that arrived", total, 320 * 65536)
        report.equal("exit status", server.ended_within(20)[1], 0)


@scenario("stop-hung-once", 60)
def stop_hung_once(report: Report) -> None:
    """A hung application and one SIGTERM: gone within shutdown_timeout, with stacks."""
    with target() as server, crowd(server.address, 2) as hung:
        send_all(hung, HANG)
        time.sleep(0.5)
        server.signal(signal.SIGTERM)
        seconds, status = server.ended_within(35)
        report.at_most("gone after (shutdown_timeout = 25 s)", seconds, 28, "s")
        report.at_least("but not before", seconds, 24, "s")
        report.equal("exit status", status, 0)
        report.equal("the log names who was cut off", server.server.output.count("cut off by the stop: GET /hang"), 2)


@scenario("stop-hung-twice", 30)
def stop_hung_twice(report: Report) -> None:
    """A hung application and a second SIGTERM."""
    with target() as server, crowd(server.address, 4) as hung:
        send_all(hung, HANG)
        time.sleep(0.5)
        server.signal(signal.SIGTERM)
        time.sleep(1)
        server.signal(signal.SIGTERM)
        seconds, status = server.ended_within(10)
        report.at_most("gone after the second one", seconds, 3, "s")
        report.equal("exit status", status, 0)
        report.equal("the log names who was cut off", server.server.output.count("cut off by the stop: GET /hang"), 4)


@scenario("interrupt-twice", 30)
def interrupt_twice(report: Report) -> None:
    """SIGINT twice with a hung application."""
    with target() as server, crowd(server.address, 4) as hung:
        send_all(hung, HANG)
        time.sleep(0.5)
        server.signal(signal.SIGINT)
        time.sleep(0.1)
        server.signal(signal.SIGINT)
        seconds, _ = server.ended_within(10)
        report.at_most("gone after", seconds, 2, "s")


@scenario("stop-idle", 30)
def stop_idle(report: Report) -> None:
    """SIGTERM with 200 idle connections, and one that never sends."""
    with target() as server, crowd(server.address, 200):
        server.signal(signal.SIGTERM)
        seconds, status = server.ended_within(20)
        report.at_most("gone after", seconds, 3, "s")
        report.equal("exit status", status, 0)
