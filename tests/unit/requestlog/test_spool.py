"""Memory that outlives its process: whatever happens in whatever order, it holds the lines that wait, or says so."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.requestlog import spool as module
from waitressd.requestlog.spool import HEAD_BYTES, Left, Spool, open_spool, read_left, share_spools, unshare_spools

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="no memory files here")

ROOM = 32


@pytest.fixture
def small() -> Iterator[Spool]:
    """A spool for few lines."""
    spool = Spool(ROOM)
    yield spool
    spool.close()


@dataclass
class Model:
    """The lines of a spool, as a list: those that wait, and whether each is kept."""

    waiting: list[tuple[bytes, bool]] = field(default_factory=list)

    def add(self, data: bytes) -> None:
        """Keep a line behind others that are kept, if there is room."""
        is_whole = all(kept for _, kept in self.waiting)
        self.waiting.append((data, is_whole and len(self.kept() + data) <= ROOM))

    def kept(self) -> bytes:
        """Return what a kill leaves."""
        return b"".join(data for data, kept in self.waiting if kept)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(1, 3))))
def test_what_is_left_is_what_waits_from_the_first_line_on_that_is_not_written(steps: list[bytes | int]) -> None:
    spool, model = Spool(ROOM), Model()
    try:
        for step in steps:
            if isinstance(step, bytes):
                spool.add(step)
                model.add(step)
            elif model.waiting:
                done = model.waiting[:step]
                count = sum(len(data) for data, _ in done)
                spool.begin(count, os.fstat(spool.fd))
                begun = read_left(spool.fd)
                assert begun.lines[: begun.begun] == b"".join(data for data, kept in done if kept)
                spool.wrote(count)
                del model.waiting[:step]
            left = read_left(spool.fd)
            assert left.lines == model.kept()
            assert left.begun == 0
    finally:
        spool.close()


def test_lines_that_find_no_room_are_not_kept_until_all_are_written(small: Spool) -> None:
    small.add(b"a" * 20)
    small.add(b"b" * 20)
    small.add(b"c")
    assert read_left(small.fd) == Left(b"a" * 20)
    small.wrote(20)
    small.add(b"d")
    assert read_left(small.fd) == Left()
    small.wrote(22)
    small.add(b"e")
    assert read_left(small.fd) == Left(b"e")


def test_a_line_may_go_round_the_end_of_the_memory(small: Spool) -> None:
    small.add(b"a" * 20)
    small.add(b"b" * 10)
    small.wrote(20)
    small.add(b"0123456789")
    assert read_left(small.fd) == Left(b"b" * 10 + b"0123456789")


def test_memory_is_used_from_its_start_when_nothing_waits(small: Spool) -> None:
    for _ in range(10):
        small.add(b"0123456")
        small.wrote(7)
    memory = os.pread(small.fd, ROOM, HEAD_BYTES)
    assert memory == b"0123456" + bytes(ROOM - 7)


@pytest.mark.parametrize(("tail", "head", "lines"), [(0, 5, b"01234"), (64, 5, b""), (64, 64, b""), (3, 5, b"34")])
def test_a_kill_between_two_stores_leaves_something_true(small: Spool, tail: int, head: int, lines: bytes) -> None:
    """The tail is stored first: until the head follows, it is behind it, and nothing waits."""
    small.add(b"01234")
    os.pwrite(small.fd, struct.pack("=2q", tail, head), 16)
    assert read_left(small.fd).lines == lines


@pytest.mark.parametrize(
    "head",
    [b"", bytes(56), struct.pack("=7q", module.SIGNATURE, 8, 0, 9, 0, 0, 0), struct.pack("=q", 1) + bytes(48)],
    ids=["empty", "zeros", "more-than-there-is-room-for", "another-layout"],
)
def test_what_is_no_spool_is_refused(head: bytes) -> None:
    fd = os.memfd_create("test")
    try:
        os.write(fd, head)
        with pytest.raises(ValueError, match="another layout"):
            read_left(fd)
    finally:
        os.close(fd)


def test_a_spool_is_opened_where_somebody_takes_it() -> None:
    told: list[tuple[str, int]] = []

    def share(fd: int, path: str, mode: int) -> bool:
        assert read_left(fd) == Left()
        told.append((path, mode))
        return len(told) == 1

    assert open_spool("a.log", 0o600) is None
    share_spools(share)
    try:
        spool = open_spool("a.log", 0o600)
        assert spool is not None
        spool.close()
        assert open_spool("b.log", 0o640) is None  # the other process is gone
    finally:
        unshare_spools()
    assert told == [("a.log", 0o600), ("b.log", 0o640)]
    assert open_spool("a.log", 0o600) is None


def test_what_a_process_forks_shares_no_spool() -> None:
    share_spools(lambda _fd, _path, _mode: True)
    try:
        pid = os.fork()
        if not pid:
            os._exit(open_spool("a.log", 0o600) is not None)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        unshare_spools()


def test_where_there_is_no_memory_it_is_said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_name: str) -> int:
        raise OSError(12, "Cannot allocate memory")

    share_spools(lambda _fd, _path, _mode: True)
    monkeypatch.setattr(os, "memfd_create", refuse)
    try:
        assert open_spool("a.log", 0o600) is None
    finally:
        unshare_spools()
    assert "The request log a.log loses lines if this process is killed" in caplog.text
