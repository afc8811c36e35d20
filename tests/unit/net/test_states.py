"""The table of a channel's states is complete, and every other move is refused."""

import itertools
import socket

import pytest

from tests.support.loop import Loop
from waitressd.http.errors import ProtocolMisuse
from waitressd.net.channel import Channel
from waitressd.net.states import NEXT, TRANSITIONS, Move, State
from waitressd.peer import Peer

MISSING = [pair for pair in itertools.product(State, Move) if pair not in TRANSITIONS]


@pytest.mark.parametrize("state", State, ids=lambda state: state.name)
def test_every_state_is_left_or_final(state: State) -> None:
    leaves = [move for move in Move if (state, move) in TRANSITIONS]
    assert bool(leaves) == (state is not State.CLOSED)
    assert state is State.IDLE or state in TRANSITIONS.values()


@pytest.mark.parametrize("move", Move, ids=lambda move: move.name)
def test_every_move_is_possible_somewhere(move: Move) -> None:
    assert any((state, move) in TRANSITIONS for state in State)


def test_the_fast_table_says_the_same() -> None:
    assert {(state, move): NEXT[state][move] for state in State for move in Move if NEXT[state][move] is not None} == (
        TRANSITIONS
    )


def test_every_state_ends_in_the_end() -> None:
    for state in State:
        if state is not State.CLOSED:
            assert TRANSITIONS[state, Move.CLOSE] is State.CLOSED


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    with Loop() as loop, socket.socket() as sock:
        channel = Channel(sock, Peer("127.0.0.1", 1), loop.dispatcher, loop.settings)
        for state, move in MISSING:
            channel.state = state
            with pytest.raises(ProtocolMisuse, match=f"cannot {move.name} in state {state.name}"):
                channel._move(move)
            assert channel.state is state
        for (state, move), following in TRANSITIONS.items():
            channel.state = state
            channel._move(move)
            assert channel.state is following
