"""Connections that workers have given to each other: sums that never fall, whatever becomes of the workers."""

import json
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
    assert moved.look(None) == {"placed": 0, "rebalanced": 0, "drained": 0}
    index = begin(board, 1, 3, 1)
    begin(board, 2, 4)
    assert moved.look(board) == {"placed": 7, "rebalanced": 1, "drained": 0}
    board.row(index)[Field.PASSED_ON] = 10
    moved.look(board)
    board.free(index)
    assert moved.look(board) == {"placed": 14, "rebalanced": 1, "drained": 0}, "between its end and its burial"
    moved.bury(1)
    moved.bury(1)
    assert moved.look(board) == {"placed": 14, "rebalanced": 1, "drained": 0}
    begin(board, 3, 1)
    assert moved.look(board) == {"placed": 15, "rebalanced": 1, "drained": 0}


def test_a_row_that_is_being_cleared_takes_nothing_away(board: Board) -> None:
    moved = Moved()
    index = begin(board, 1, 3)
    moved.look(board)
    board.row(index)[Field.PASSED_ON] = 0
    assert moved.look(board)["placed"] == 3


@pytest.mark.parametrize("has_board", [True, False], ids=["the same board", "another board"])
def test_no_sum_falls_when_another_program_counts_on(board: Board, *, has_board: bool) -> None:
    """Also where it means something else by a row: then it sees none of those that there are."""
    former, moved = Moved(), Moved()
    first = begin(board, 1, placed=7, rebalanced=1)
    former.look(board)
    board.free(first)
    former.bury(1)
    begin(board, 2, placed=5)
    sums = {"placed": 12, "rebalanced": 1, "drained": 0}
    moved.resume(json.loads(json.dumps(former.carry(board))))
    assert moved.look(board if has_board else None) == sums
    moved.bury(2)
    assert moved.look(None) == sums


def test_a_state_without_these_sums_begins_at_none() -> None:
    moved = Moved()
    moved.resume({})
    moved.resume({"before": {"placed": 2, "for a reason of tomorrow": 3}})
    assert moved.look(None) == {"placed": 2, "rebalanced": 0, "drained": 0}
