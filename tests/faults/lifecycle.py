"""Starts that fail, and what a child process of the application gets."""

import time

from tests.faults.report import Report, scenario
from tests.faults.target import APPLICATION, target
from tests.support.servers import start_process


@scenario("port-in-use", 20)
def port_in_use(report: Report) -> None:
    """A second server on the same port."""
    with target() as server:
        begun = time.monotonic()
        second = start_process([APPLICATION, f"--listen=127.0.0.1:{server.port}"])
        try:
            status = second.wait(10)
            output = second.output
        finally:
            second.kill()
        report.at_most("over after", time.monotonic() - begun, 3, "s")
        report.at_most("lines", len(output.splitlines()), 5)
        report.equal("names the port", str(server.port) in output, True)
        report.that("exit status", "not 0", status, ok=status != 0)
        server.get("/")


@scenario("inheritance", 20)
def inheritance(report: Report) -> None:
    """A child process of the application, started with close_fds=False."""
    with target() as server, server.connect() as other:
        assert other.get("/").status == 200
        body = server.get("/child").decode()
        report.equal("sockets in the child", body.count("socket:"), 0)
        report.equal("pollers in the child", body.count("eventpoll") + body.count("eventfd"), 0)
