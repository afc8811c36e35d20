"""Answers and requests without end, and the memory they take."""

import tempfile
import threading
import time
from pathlib import Path

from tests.faults.crowd import Member, crowd, receive, send_all
from tests.faults.report import Report, scenario
from tests.faults.target import MIB, Target, target
from tests.support.client import Client

GIB_BLOCKS = 16384


def _take(member: Member, count: int) -> None:
    """Read so many bytes of the answer."""
    member.sock.setblocking(True)
    while member.received_bytes < count and not member.ended:
        receive(member)


def _stall(report: Report, path: str) -> None:
    with target() as server:
        base_bytes = server.forget_peak()
        with crowd(server.address, 1) as (member,):
            send_all([member], f"GET {path}?{GIB_BLOCKS} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            _take(member, 64 * MIB)
            time.sleep(3)
            server.get("/")
            report.at_most("memory more while it stalls", (server.peak_bytes() - base_bytes) / MIB, 24, "MiB")
        took = server.wait_until(lambda: "closed" in server.counts(), 5)
        report.at_most("the answer ends after the client has left", took, 2, "s")


@scenario("stall-iterated", 60)
def stall_iterated(report: Report) -> None:
    """1 GB in blocks of 64 KB to a client that stalls at 64 MB, iterated."""
    _stall(report, "/blocks")


@scenario("stall-written", 60)
def stall_written(report: Report) -> None:
    """The same by write()."""
    _stall(report, "/written")


@scenario("endless", 60)
def endless(report: Report) -> None:
    """An answer without end to a client that does not read and then leaves."""
    with target() as server:
        base_bytes = server.forget_peak()
        with crowd(server.address, 1) as members:
            send_all(members, b"GET /blocks?0 HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(5)
            server.get("/")
            report.at_most("memory more", (server.peak_bytes() - base_bytes) / MIB, 24, "MiB")
        report.at_most("close() after leaving", server.wait_until(lambda: "closed" in server.counts(), 5), 2, "s")
        report.at_most("CPU afterwards", server.quiet_share() * 100, 0, "%")


@scenario("disk", 60)
def disk(report: Report) -> None:
    """An answer without end to a client that reads slowly but steadily: its file on disk must not grow without end."""
    with (
        tempfile.TemporaryDirectory() as folder,
        target(f"--spool-directory={folder}") as server,
        crowd(server.address, 1) as (member,),
    ):
        send_all([member], b"GET /blocks?0 HTTP/1.1\r\nHost: a\r\n\r\n")
        for step in range(1, 9):
            _take(member, step * 64 * MIB)
            time.sleep(0.2)
        report.at_most("bytes on disk after 512 MiB were taken", _spooled_bytes(server, folder) / MIB, 192, "MiB")


def _spooled_bytes(server: Target, folder: str) -> int:
    """Bytes of deleted files that the server still has open."""
    total = 0
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        if str(link.readlink()).startswith(folder):
            total += link.stat().st_blocks * 512
    return total


@scenario("upload", 60)
def upload(report: Report) -> None:
    """An upload of 200 MB."""
    block = bytes(MIB)
    with target() as server:
        base_bytes, rates = server.forget_peak(), []
        for _ in range(3):
            with server.connect() as client:
                begun = time.monotonic()
                client.send(b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (200 * MIB))
                for _ in range(200):
                    client.send(block)
                answer = client.receive("POST")
                rates.append(200 * MIB / 1e6 / (time.monotonic() - begun))
                report.equal("the application got", answer.body, str(200 * MIB).encode())
        report.at_least("speed", max(rates), 500, "MB/s")
        report.at_most("memory more", (server.peak_bytes() - base_bytes) / MIB, 16, "MiB")


@scenario("pipeline", 60)
def pipeline(report: Report) -> None:
    """100,000 pipelined requests in one send."""
    count = 100_000
    requests = b"".join(b"GET /number?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count))
    with target() as server, server.connect(timeout=30) as client:
        base_bytes = server.forget_peak()
        sender = threading.Thread(target=client.send, args=(requests,))
        sender.start()
        wrong = _count_wrong(client, count)
        sender.join()
        report.equal("answers missing or out of order", wrong, 0)
        report.at_most("memory more", (server.peak_bytes() - base_bytes) / MIB, 16, "MiB")


def _count_wrong(client: Client, count: int) -> int:
    """Read the answers of /number, whose bodies have 8 bytes, and count those that are not the next one."""
    wrong, number, rest = 0, 0, b""
    while number < count:
        data = client.sock.recv(1 << 18)
        if not data:
            return wrong + count - number
        *whole, rest = (rest + data).split(b"HTTP/1.1 200 OK\r\n")
        if len(rest.partition(b"\r\n\r\n")[2]) == 8:
            whole.append(rest)
            rest = b""
        for answer in filter(None, whole):
            wrong += int(answer[-8:]) != number
            number += 1
    return wrong


@scenario("pipeline-unread", 60)
def pipeline_unread(report: Report) -> None:
    """100,000 pipelined requests by a client that reads no answer until all were sent or nothing is taken any more."""
    requests = b"".join(b"GET /number?%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(100_000))
    with target() as server, server.connect(timeout=30) as client:
        base_bytes = server.forget_peak()
        client.sock.settimeout(3)
        sent = 0
        try:
            while sent < len(requests):
                sent += client.sock.send(requests[sent : sent + 65536])
        except TimeoutError:
            pass
        server.get("/")
        report.at_most("memory more", (server.peak_bytes() - base_bytes) / MIB, 16, "MiB")
        report.at_most("CPU while it stands still", server.quiet_share() * 100, 1, "%")


@scenario("tiny-chunks", 30)
def tiny_chunks(report: Report) -> None:
    """A body in 200,000 chunks of one byte."""
    with target() as server, server.connect(timeout=20) as client:
        base_bytes, cpu = server.forget_peak(), server.cpu_seconds()
        head = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + b"1\r\nx\r\n" * 200_000 + b"0\r\n\r\n")
        report.equal("the application got", client.receive("POST").body, b"200000")
        report.at_most("CPU", server.cpu_seconds() - cpu, 0.9, "s")
        report.at_most("memory more", (server.peak_bytes() - base_bytes) / MIB, 8, "MiB")


@scenario("endless-lines", 60)
def endless_lines(report: Report) -> None:
    """A chunk extension, a trailer, a size line, a header field, a request line that never end."""
    chunked = b"POST /upload HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    beginnings = {
        "chunk extension": (chunked + b"5;a=", b"b" * 65536),
        "trailer": (chunked + b"0\r\nX-A: ", b"b" * 65536),
        "trailer fields": (chunked + b"0\r\n", b"X-A: b\r\n" * 8192),
        "size line": (chunked, b"0" * 65536),
        "header field": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: ", b"b" * 65536),
        "header fields": (b"GET / HTTP/1.1\r\nHost: a\r\n", b"X-A: b\r\n" * 8192),
        "request line": (b"GET /", b"b" * 65536),
        "empty lines": (b"", b"\r\n" * 32768),
    }
    with target() as server:
        for name, (beginning, more) in beginnings.items():
            cpu = server.cpu_seconds()
            status = _send_until_refused(server, beginning, more)
            report.that(f"{name}: refused", "4xx", status, ok=400 <= status < 500)
            report.at_most(f"{name}: CPU", server.cpu_seconds() - cpu, 0.5, "s")


def _send_until_refused(server: Target, beginning: bytes, more: bytes) -> int:
    with crowd(server.address, 1) as (member,):
        member.sock.setblocking(True)
        member.sock.settimeout(5)
        member.sock.sendall(beginning)
        try:
            for _ in range(160):  # 10 MB
                member.sock.sendall(more)
        except OSError:
            pass
        while not member.ended and not member.status:
            receive(member)
        return member.status


@scenario("terabyte", 15)
def terabyte(report: Report) -> None:
    """Content-Length of 1 TB with Expect: 100-continue."""
    with target() as server, server.connect() as client:
        begun = time.monotonic()
        client.send(b"PUT /upload HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\nExpect: 100-continue\r\n\r\n")
        answer = client.receive("PUT")
        report.equal("status", answer.status, 413)
        report.equal("told to go on before", len(answer.interim), 0)
        report.at_most("after", (time.monotonic() - begun) * 1000, 100, "ms")


@scenario("growth", 60)
def growth(report: Report) -> None:
    """50,000 requests, on kept connections and on new ones."""
    with target() as server:
        _many_requests(server, 10_000)
        before = server.holdings()
        _many_requests(server, 50_000)
        server.wait_until(lambda: server.descriptors() <= before.descriptors, 3)
        after = server.holdings()
        report.at_most("growth of each", (after.rss_bytes - before.rss_bytes) / 50_000, 12, "bytes")
        report.at_most("descriptors more", after.descriptors - before.descriptors, 0)
        report.at_most("threads more", after.threads - before.threads, 0)


def _many_requests(server: Target, count: int) -> None:
    """Nine of ten on kept connections, the others on one of their own."""
    lot = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 90
    for _ in range(count // 100):
        with server.connect() as client:
            client.send(lot)
            received = 0
            while received < 90:
                received += client.sock.recv(65536).count(b"Hello, world!")
        for _ in range(10):
            server.get("/")
