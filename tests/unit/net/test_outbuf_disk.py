"""What an answer may take of the disk while its client is slower than the application."""

import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from waitressd.net import outbuf as module
from waitressd.net.outbuf import OutBuffer, OutputLimits

FILE_BYTES = 100_000
PENDING_BYTES = 60_000


def disk_bytes(folder: Path) -> int:
    """Bytes of open files in a folder, deleted ones too."""
    total = 0
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()).startswith(str(folder)):
                total += link.stat().st_size
        except OSError:  # the descriptor that lists the folder
            continue
    return total


def narrow_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends with little room between them. Not a Unix pair: the kernel gives that a whole file at once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.socket()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        theirs.settimeout(5)
        theirs.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    ours.setblocking(False)
    return ours, theirs


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="deleted files are seen in /proc only")
def test_an_answer_that_is_never_taken_as_a_whole_does_not_fill_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPOOL_FILE_BYTES", FILE_BYTES)
    ours, theirs = narrow_pair()
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=0, spool_directory=str(tmp_path)))
    written, received, worst = 0, bytearray(), 0
    with ours, theirs, closing(outbuf):
        while written < 3_000_000:
            block = b"%08d" % written * 1000
            outbuf.append(ours, [block])
            written += len(block)
            worst = max(worst, disk_bytes(tmp_path))
            while outbuf.pending_bytes > PENDING_BYTES:
                received += theirs.recv(4096)
                outbuf.flush(ours)
        while len(received) < written:
            received += theirs.recv(1 << 20)
            outbuf.flush(ours)
        assert worst > FILE_BYTES
        assert worst <= PENDING_BYTES + FILE_BYTES + 2 * 8000
        assert bytes(received) == b"".join(b"%08d" % start * 1000 for start in range(0, written, 8000))
        assert not outbuf.unsent_bytes
    assert disk_bytes(tmp_path) == 0


def test_small_pieces_go_to_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[int] = []
    pwrite = os.pwrite

    def counted(fd: int, data: memoryview, offset: int) -> int:
        writes.append(len(data))
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", counted)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    outbuf = OutBuffer(OutputLimits(outbuf_overflow=0, spool_directory=str(tmp_path)))
    with ours, theirs, closing(outbuf):
        outbuf.append(ours, [bytes(10_000_000)])  # more than the kernel takes
        writes.clear()
        outbuf.append(ours, [b"10000\r\n", bytes(65536), b"\r\n"])
        outbuf.append(ours, [b"big", bytes(module.JOIN_BYTES)])
    assert writes == [65545, 3, module.JOIN_BYTES]
