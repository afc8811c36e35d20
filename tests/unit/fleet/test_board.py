"""Shared memory in which each worker has a row: what one process writes, every other reads."""

import mmap
import os
import signal
import sys
import tempfile
from collections.abc import Iterator

import pytest

from waitressd.fleet.board import FIELDS_BYTES, ROWS, Board, Field, to_ms

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fleets here")


@pytest.fixture
def shared() -> Iterator[tuple[Board, Board]]:
    """A board as its maker and another process see it."""
    maker = Board.create(3)
    other = Board.attach(os.dup(maker.fd))
    yield maker, other
    for board in (maker, other):
        board.close()
        board.close()


def claimed(board: Board, worker: int) -> int:
    index = board.claim(worker)
    assert index is not None
    return index


def test_what_one_process_writes_another_reads(shared: tuple[Board, Board]) -> None:
    maker, other = shared
    index = claimed(maker, 7)
    other.row(index)[Field.BUSY] = 3
    other.row(index)[Field.HINT] += 2
    maker.row(index)[Field.PLACE] = 1
    row = maker.row(index)
    assert [row[field] for field in (Field.NUMBER, Field.PLACE, Field.BUSY, Field.HINT)] == [7, 1, 3, 2]
    assert list(other.used()) == [index]
    assert len(other) == 3


def test_the_fields_are_apart_and_fit_into_their_part_of_the_row(shared: tuple[Board, Board]) -> None:
    row = shared[0].row(claimed(shared[0], 1))
    for field in Field:
        row[field] = 1000 + field
    assert [row[field] for field in Field] == [1000 + field for field in Field]
    assert max(Field) < FIELDS_BYTES // 8


def test_each_worker_has_a_row_of_its_own_until_it_has_ended(shared: tuple[Board, Board]) -> None:
    board, _ = shared
    rows = [claimed(board, worker) for worker in (1, 2, 3)]
    assert sorted(rows) == [0, 1, 2]
    assert board.claim(4) is None  # and that one does without
    board.row(rows[1])[Field.BUSY] = 5
    board.free(rows[1])
    board.free(rows[1])
    assert claimed(board, 5) == rows[1]
    assert board.row(rows[1])[Field.NUMBER] == 5
    assert board.row(rows[1])[Field.BUSY] == 0


def test_the_neighbours_of_a_row_that_is_freed_stay_as_they_are(shared: tuple[Board, Board]) -> None:
    board, _ = shared
    for worker in (1, 2, 3):
        board.row(claimed(board, worker))[Field.PID] = worker
    board.free(1)
    assert {index: row[Field.PID] for index, row in board.used().items()} == {0: 1, 2: 3}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_what_a_killed_process_has_written_stays(shared: tuple[Board, Board]) -> None:
    board, _ = shared
    index = claimed(board, 1)
    pid = os.fork()
    if not pid:
        board.row(index)[Field.BUSY] = 4
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert board.row(index)[Field.BUSY] == 4


def test_rows_that_nobody_has_used_take_no_memory() -> None:
    board = Board.create()
    try:
        assert claimed(board, 1) == 0
        board.free(0)
        assert board.used() == {}
        assert os.fstat(board.fd).st_blocks * 512 < os.fstat(board.fd).st_size / 50
        assert len(board) == ROWS
    finally:
        board.close()


@pytest.mark.parametrize("size", [8, 1 << 17])
def test_a_board_of_another_layout_is_refused(size: int) -> None:
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        fd = os.dup(file.fileno())
        with pytest.raises(ValueError, match="another layout"):
            Board.attach(fd)
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)


def test_a_descriptor_that_is_no_board_is_an_error_and_closed() -> None:
    reading, writing = os.pipe()
    os.close(writing)
    with pytest.raises((OSError, ValueError)):
        Board.attach(reading)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(reading)


def test_without_memory_there_is_no_board_and_no_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def refuse(fd: int, _size: int) -> mmap.mmap:
        made.append(fd)
        raise OSError(12, "no memory")

    monkeypatch.setattr("waitressd.fleet.board.mmap.mmap", refuse)
    with pytest.raises(OSError, match="no memory"):
        Board.create(1)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(made[0])


def test_where_there_is_no_memfd_a_file_does(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_name: str) -> int:
        raise OSError(1, "not permitted")

    monkeypatch.setattr(os, "memfd_create", refuse, raising=False)
    board = Board.create(1)
    other = Board.attach(os.dup(board.fd))
    board.row(claimed(board, 1))[Field.PLACE] = 2
    assert other.row(0)[Field.PLACE] == 2
    other.close()
    board.close()


def test_a_row_that_somebody_still_reads_does_not_hold_up_the_end() -> None:
    board = Board.create(1)
    numbers = board.row(0)._numbers[:]  # as a reader has it in the middle of a read
    board.close()
    numbers.release()


def test_times_are_milliseconds() -> None:
    assert to_ms(1.2345) == 1234
