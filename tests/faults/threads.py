"""Applications that hang."""

import re
import time

from tests.faults.crowd import crowd, keep_going, send_all
from tests.faults.holding import GET, add_probe
from tests.faults.probe import probing
from tests.faults.report import Report, scenario
from tests.faults.target import target

HANG = b"GET /hang?secret HTTP/1.1\r\nHost: a\r\n\r\n"


@scenario("all-hung", 60)
def all_hung(report: Report) -> None:
    """All threads hung: 503 in time, and the log says which requests hang where."""
    with target() as server, crowd(server.address, 4) as hung, crowd(server.address, 1) as others:
        begun = time.monotonic()
        send_all(hung, HANG)
        time.sleep(0.5)
        send_all(others, GET)
        server.wait_until(lambda: len(re.findall(r"GET /hang of .* has been running", server.server.output)) == 4, 13)
        report.at_most("the log has named every one after", time.monotonic() - begun, 13, "s")
        report.at_least("stacks that say where", server.server.output.count("in hang"), 4)
        report.equal("the queue warning names them", "GET /hang (" in server.server.output, True)
        report.equal("their queries stay out of the log", "secret" in server.server.output, False)
        report.at_most("CPU while all hang", server.cpu_share(2) * 100, 1, "%")
        keep_going(others, 35)
        report.equal("a new request is answered", others[0].status, 503)
        report.equal("with Retry-After", b"\r\nRetry-After: " in others[0].received, True)
        report.at_most("in time (queue_timeout = 30 s)", others[0].seconds, 35, "s")


@scenario("three-hung", 30)
def three_hung(report: Report) -> None:
    """3 of 4 threads hung."""
    with target() as server, crowd(server.address, 3) as hung:
        send_all(hung, HANG)
        time.sleep(0.2)
        with probing(server.port) as probe:
            time.sleep(5)
        add_probe(report, probe)


@scenario("queue-full", 30)
def queue_full(report: Report) -> None:
    """More requests than may wait: 503 at once, and the log keeps calm."""
    with target("--queue-limit=10") as server, crowd(server.address, 4) as hung, crowd(server.address, 200) as others:
        send_all(hung, HANG)
        time.sleep(0.5)
        lines, cpu = len(server.lines()), server.cpu_seconds()
        send_all(others, GET)
        keep_going(others, 3)
        report.equal("refused at once", sum(m.status == 503 for m in others), 190)
        report.at_most("log lines", len(server.lines()) - lines, 4)
        report.at_most("CPU of each refusal", (server.cpu_seconds() - cpu) / 190 * 1000, 1, "ms")
