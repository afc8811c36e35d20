"""The table of the event loop's states is complete, and every other move is refused."""

import itertools

import pytest

from tests.support.loop import Loop
from waitressd.dispatch.states import TRANSITIONS, DispatcherState
from waitressd.http.errors import ProtocolMisuse


def test_nothing_leads_back_and_everything_to_the_end() -> None:
    """So a later wish never takes an earlier one back, and a state can be compared with another."""
    assert all(following > state for state in TRANSITIONS for following in TRANSITIONS[state])
    assert [state for state in DispatcherState if not TRANSITIONS[state]] == [DispatcherState.FINISHED]


def test_a_move_that_is_not_in_the_table_is_refused() -> None:
    with Loop() as loop:
        dispatcher = loop.dispatcher
        for state, following in itertools.product(DispatcherState, DispatcherState):
            dispatcher.state = state
            if following in TRANSITIONS[state]:
                dispatcher._become(following)
                assert dispatcher.state is following
            else:
                with pytest.raises(ProtocolMisuse, match=f"that is {state.name} cannot become {following.name}"):
                    dispatcher._become(following)
                assert dispatcher.state is state
        dispatcher.state = DispatcherState.SERVING


def test_a_stop_never_takes_an_abort_back() -> None:
    with Loop() as loop, loop.connect() as client:
        loop.dispatcher.abort()
        loop.dispatcher.stop()
        loop.turn()
        assert loop.dispatcher.finished
        client.expect_closed()
