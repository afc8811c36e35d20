"""Connections that workers have given to each other: sums that never fall, whatever becomes of the workers."""

import sys
from collections.abc import Iterator

import pytest

from waitressd.fleet.board import Board, Field
from waitressd.fleet.moved import Moved

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fleets here")


@pytest.fixture
def board() -> Iterator[Board]:
    board = Board.create(2)
    yield board
    board.close()


def begin(board: Board, worker: int, placed: int = 0, rebalanced: int = 0) -> int:
    index = board.claim(worker)
    assert index is not None
    board.row(index)[Field.PASSED_ON] = placed
    board.row(index)[Field.REBALANCED] = rebalanced
    return index


def test_the_sums_are_of_all_workers_that_there_are_and_were(board: Board) -> None:
    moved = Moved()
    assert moved.look(None) == {"placed": 0, "rebalanced": 0}
    index = begin(board, 1, 3, 1)
    begin(board, 2, 4)
    assert moved.look(board) == {"placed": 7, "rebalanced": 1}
    board.row(index)[Field.PASSED_ON] = 10
    moved.look(board)
    board.free(index)
    assert moved.look(board) == {"placed": 14, "rebalanced": 1}, "between its end and its burial"
    moved.bury(1)
    moved.bury(1)
    assert moved.look(board) == {"placed": 14, "rebalanced": 1}
    begin(board, 3, 1)
    assert moved.look(board) == {"placed": 15, "rebalanced": 1}


def test_a_row_that_is_being_cleared_takes_nothing_away(board: Board) -> None:
    moved = Moved()
    index = begin(board, 1, 3)
    moved.look(board)
    board.row(index)[Field.PASSED_ON] = 0
    assert moved.look(board)["placed"] == 3
