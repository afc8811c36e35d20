"""Storms of connections, and too few descriptors for them."""

import time

from tests.faults.crowd import connect_and_reset, crowd, keep_going, send_all
from tests.faults.holding import GET
from tests.faults.report import Report, scenario
from tests.faults.target import Target, target
from tests.support.client import Client


@scenario("resets", 30)
def resets(report: Report) -> None:
    """130 resets at every stage of a request, and 1,000 connect-and-close."""
    stages = (b"", b"GET / HT", b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nxx", GET, GET * 20)
    with target() as server:
        before = server.holdings()
        for number in range(130):
            connect_and_reset(server.address, stages[number % len(stages)])
        for _ in range(1000):
            Client(server.address).close()
        begun = time.monotonic()
        server.get("/")
        report.at_most("serving again after", (time.monotonic() - begun) * 1000, 100, "ms")
        server.wait_until(lambda: server.descriptors() <= before.descriptors + 2, 2)
        report.at_most("descriptors more", server.descriptors() - before.descriptors, 2)
        report.at_most("CPU afterwards", server.quiet_share() * 100, 0, "%")
        report.equal("CLOSE_WAIT sockets", server.close_wait(), 0)
        report.equal("tracebacks in the log", server.tracebacks(), 0)


def _crowded(report: Report, server: Target) -> None:
    with server.connect() as kept:
        assert kept.get("/").status == 200
        with crowd(server.address, 200):
            time.sleep(1)
            lines, begun = len(server.lines()), time.monotonic()
            share = server.cpu_share(4)
            report.at_most("CPU while full", share * 100, 5, "%")
            rate = (len(server.lines()) - lines) / (time.monotonic() - begun)
            report.at_most("log lines a second while full", rate, 2)
            report.equal("a kept-alive client is served while full", kept.get("/").status, 200)
        begun = time.monotonic()
        server.get("/", timeout=10)
        report.at_most("serves again after", time.monotonic() - begun, 1, "s")
    report.equal("alive", server.server.process.poll(), None)
    report.equal("tracebacks in the log", server.tracebacks(), 0)


@scenario("few-descriptors", 30)
def few_descriptors(report: Report) -> None:
    """64 descriptors and 200 connections."""
    with target(descriptors=64) as server:
        _crowded(report, server)


@scenario("no-descriptors", 30)
def no_descriptors(report: Report) -> None:
    """The same with a connection limit that lets it run into the wall (EMFILE)."""
    with target("--connection-limit=1000", descriptors=64) as server:
        _crowded(report, server)
        report.that("the log says why", "Too many open files", "", ok="Too many open files" in server.server.output)


@scenario("connection-limit", 30)
def connection_limit(report: Report) -> None:
    """Everybody beyond the limit waits in the backlog and is served when there is room."""
    with target("--connection-limit=20") as server, crowd(server.address, 100) as members:
        send_all(members, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        keep_going(members, 10)
        report.equal("all answered in the end", sum(m.status == 200 for m in members), 100)
