"""Clients that hold connections: idle, dripping, not reading."""

import time

from tests.faults.crowd import Member, crowd, keep_going, receive, send_all
from tests.faults.probe import Probe, probing
from tests.faults.report import Report, scenario
from tests.faults.target import MIB, Target, target

PROBE_MILLISECONDS = 250
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def add_probe(report: Report, probe: Probe) -> None:
    """Judge the polite client."""
    report.that(
        "probe: requests that failed", "0", f"{len(probe.failures)} of {len(probe.waits)}", ok=not probe.failures
    )
    report.at_most("probe: longest wait", probe.maximum, PROBE_MILLISECONDS, "ms")


def add_rest(report: Report, server: Target, before_descriptors: int, before_threads: int) -> None:
    """Judge what is left after the attack: nothing."""
    server.wait_until(lambda: server.descriptors() <= before_descriptors, 5)
    report.at_most("descriptors left afterwards", server.descriptors() - before_descriptors, 0)
    report.at_most("threads left afterwards", server.threads() - before_threads, 0)
    report.at_most("CPU afterwards", server.quiet_share() * 100, 0, "%")
    report.equal("CLOSE_WAIT sockets", server.close_wait(), 0)
    report.equal("tracebacks in the log", server.tracebacks(), 0)


@scenario("idle", 60)
def idle(report: Report) -> None:
    """2,000 idle connections."""
    with target(descriptors=20000) as server:
        before = server.holdings()
        with probing(server.port) as probe, crowd(server.address, 2000) as members:
            server.wait_until(lambda: server.descriptors() >= before.descriptors + 2000, 10)
            time.sleep(0.5)
            report.at_most("memory of each", (server.rss_bytes() - before.rss_bytes) / 2000 / 1024, 8, "KiB")
            report.at_least("descriptors in use", server.descriptors(), 2000)
            send_all(members, GET)
            keep_going(members, 10, enough=lambda member: bool(member.status))
            report.equal("answered on their first request", sum(m.status == 200 for m in members), 2000)
            report.at_most("memory of each afterwards", (server.rss_bytes() - before.rss_bytes) / 2000 / 1024, 8, "KiB")
        add_probe(report, probe)
        with crowd(server.address, 2000):
            time.sleep(1.5)
            report.at_most("threads added", server.threads() - before.threads, 0)
            report.at_most("CPU while they idle", server.cpu_share(2) * 100, 0.5, "%")
        add_rest(report, server, before.descriptors, before.threads)


@scenario("many-descriptors", 30)
def many_descriptors(report: Report) -> None:
    """A soft limit of 1,024 descriptors is lifted: 1,500 clients are served."""
    with target() as server, crowd(server.address, 1500) as members:
        send_all(members, GET)
        server.wait_until(lambda: server.descriptors() >= 1500, 10)
        keep_going(members, 10, enough=lambda member: bool(member.status))
        report.equal("clients answered beyond a soft limit of 1,024", sum(m.status == 200 for m in members), 1500)


def _drip(report: Report, head: bytes, byte: bytes) -> None:
    with target() as server:
        before = server.holdings()
        with probing(server.port) as probe, crowd(server.address, 200) as members:
            send_all(members, head)
            keep_going(members, 32, lambda rest: send_all(rest, byte))
            report.equal("cut off with 408", sum(m.status == 408 for m in members), 200)
            report.at_most("the last was cut off after", max(m.seconds for m in members), 28, "s")
        add_probe(report, probe)
        add_rest(report, server, before.descriptors, before.threads)


@scenario("slow-heads", 60)
def slow_heads(report: Report) -> None:
    """200 clients that send their head at 1 byte a second."""
    _drip(report, b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", b"x")


@scenario("slow-bodies", 60)
def slow_bodies(report: Report) -> None:
    """200 clients that send their body at 1 byte a second."""
    _drip(report, b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n", b"x")


@scenario("slow-readers", 90)
def slow_readers(report: Report) -> None:
    """50 clients that take an answer of 20 MB at 0 to 1 KB a second."""

    def take(members: list[Member]) -> None:
        for number, member in enumerate(everybody):
            if number % 2 and member in members:
                receive(member, 1 + 1000 * number // 50)

    with target() as server:
        before, base_bytes = server.holdings(), server.forget_peak()
        with probing(server.port) as probe, crowd(server.address, 50, receive_buffer_bytes=4096) as everybody:
            send_all(everybody, b"GET /blocks?320 HTTP/1.1\r\nHost: a\r\n\r\n")
            keep_going(everybody, 45, take, reading=False)
            left = server.connections()
            files = server.descriptors() - before.descriptors - left
            report.at_most("memory more at the worst moment", (server.peak_bytes() - base_bytes) / MIB, 64, "MiB")
            silent = everybody[::2]
            for member in silent:
                keep_going([member], 2)
            report.equal("clients that read nothing and are cut off", sum(bool(m.ended) for m in silent), len(silent))
            report.at_most("connections still open after 45 s", left, 25)
            report.at_most("temporary files of theirs", files, left)
        add_probe(report, probe)
        server.wait_until(lambda: server.counts().get("closed") == 50, 5)
        counts = server.counts()
        report.equal("iterables begun and closed", f"{counts.get('begun')}, {counts.get('closed')}", "50, 50")
        add_rest(report, server, before.descriptors, before.threads)
