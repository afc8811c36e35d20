"""The table of the event loop's states is complete, and every other move is refused."""

import itertools

import pytest

from tests.support.loop import Loop
from waitressd.dispatch.states import TRANSITIONS, DispatcherMove, DispatcherState
from waitressd.http.errors import ProtocolMisuse


def test_every_state_comes_after_those_before_it() -> None:
    assert all(following >= state for (state, _), following in TRANSITIONS.items())


def test_an_end_is_possible_at_any_time() -> None:
    """In a child that was only forked nothing else can be done with the loop."""
    for state in DispatcherState:
        assert TRANSITIONS[state, DispatcherMove.END] is DispatcherState.FINISHED


def test_a_stop_never_takes_an_abort_back() -> None:
    assert TRANSITIONS[DispatcherState.ABORTING, DispatcherMove.STOP] is DispatcherState.ABORTING


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    with Loop() as loop:
        dispatcher = loop.dispatcher
        for state, move in itertools.product(DispatcherState, DispatcherMove):
            dispatcher.state = state
            if (state, move) in TRANSITIONS:
                dispatcher._move(move)
                assert dispatcher.state is TRANSITIONS[state, move]
            else:
                with pytest.raises(ProtocolMisuse, match=f"cannot {move.name} when it is {state.name}"):
                    dispatcher._move(move)
                assert dispatcher.state is state
        dispatcher.state = DispatcherState.SERVING
