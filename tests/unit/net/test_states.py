"""The tables of connections and exchanges are complete, and every other move is refused."""

import itertools
import socket
from enum import IntEnum
from typing import Any, Final

import pytest

from tests.support.loop import Loop
from waitressd.http.errors import ProtocolMisuse
from waitressd.net.channel import Channel
from waitressd.net.states import (
    CHANNEL_TRANSITIONS,
    EXCHANGE_TRANSITIONS,
    NEXT,
    ChannelMove,
    ChannelState,
    ExchangeMove,
    ExchangeState,
)
from waitressd.peer import Peer

Table = dict[tuple[Any, Any], Any]
TABLES: Final[list[tuple[Table, type[IntEnum], type[IntEnum]]]] = [
    (CHANNEL_TRANSITIONS, ChannelState, ChannelMove),
    (EXCHANGE_TRANSITIONS, ExchangeState, ExchangeMove),
]
BEGINNINGS: Final = {ChannelState: {"OPEN", "PREFACE"}, ExchangeState: {"IDLE"}}
ENDS: Final = {ChannelState: "CLOSED", ExchangeState: "DONE"}


@pytest.mark.parametrize(("table", "states", "moves"), TABLES)
def test_every_state_is_reached_and_left(table: Table, states: Any, moves: Any) -> None:
    for state in states:
        leaves = [move for move in moves if (state, move) in table]
        assert bool(leaves) == (state.name != ENDS[states])
        assert state.name in BEGINNINGS[states] or state in table.values()


@pytest.mark.parametrize(("table", "states", "moves"), TABLES)
def test_every_move_is_possible_somewhere(table: Table, states: Any, moves: Any) -> None:
    for move in moves:
        assert any((state, move) in table for state in states)


def test_the_fast_table_says_the_same() -> None:
    pairs = itertools.product(ExchangeState, ExchangeMove)
    assert {(state, move): NEXT[state][move] for state, move in pairs if NEXT[state][move] is not None} == (
        EXCHANGE_TRANSITIONS
    )


def test_every_state_ends_in_the_end() -> None:
    for state in ChannelState:
        if state is not ChannelState.CLOSED:
            assert CHANNEL_TRANSITIONS[state, ChannelMove.CLOSE] is ChannelState.CLOSED
    for exchange_state in ExchangeState:
        if exchange_state is not ExchangeState.DONE:
            assert EXCHANGE_TRANSITIONS[exchange_state, ExchangeMove.END] is ExchangeState.DONE


@pytest.mark.parametrize(("table", "states", "moves"), TABLES)
def test_a_move_that_is_not_in_the_table_is_refused(table: Table, states: Any, moves: Any) -> None:
    with Loop() as loop, socket.socket() as sock:
        channel = Channel(sock, Peer("127.0.0.1", 1), loop.dispatcher, loop.settings)
        machine: Any = channel if states is ChannelState else channel.exchange
        go: Any = channel._move if states is ChannelState else channel.exchange.move
        for state, move in itertools.product(states, moves):
            machine.state = state
            following = table.get((state, move))
            if following is None:
                with pytest.raises(ProtocolMisuse, match=f"cannot {move.name} in state {state.name}"):
                    go(move)
                assert machine.state is state
            else:
                go(move)
                assert machine.state is following
