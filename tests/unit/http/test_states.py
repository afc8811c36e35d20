"""Both tables are complete: each member appears, and any pair that is not in them is a mistake that raises."""

from enum import IntEnum
from itertools import product

import pytest

from waitressd.http.body import PHASE_TRANSITIONS, ChunkedDecoder, ChunkEvent, Phase
from waitressd.http.connection import Connection
from waitressd.http.errors import ProtocolMisuse
from waitressd.http.limits import Limits
from waitressd.http.states import READING_TRANSITIONS, SENDING_TRANSITIONS, ReadEvent, Reading, SendEvent, Sending


@pytest.mark.parametrize(
    ("table", "states", "events", "first"),
    [
        (READING_TRANSITIONS, Reading, ReadEvent, Reading.IDLE),
        (SENDING_TRANSITIONS, Sending, SendEvent, Sending.WAIT),
        (PHASE_TRANSITIONS, Phase, ChunkEvent, Phase.SIZE),
    ],
)
def test_every_member_is_in_its_table(
    table: dict[tuple[IntEnum, IntEnum], IntEnum], states: type[IntEnum], events: type[IntEnum], first: IntEnum
) -> None:
    assert {type(state) for state, _ in table} == {states} == {type(state) for state in table.values()}
    assert {event for _, event in table} == set(events)
    reached = {first}
    for _ in states:
        reached |= {after for (before, _), after in table.items() if before in reached}
    assert reached == set(states)


@pytest.mark.parametrize(("state", "event"), list(product(Reading, ReadEvent)))
def test_each_move_of_the_request_side(state: Reading, event: ReadEvent) -> None:
    connection = Connection(Limits(), "")
    connection.reader.reading = state
    if (state, event) in READING_TRANSITIONS:
        connection.reader._move(event)
        assert connection.reader.reading is READING_TRANSITIONS[state, event]
    else:
        with pytest.raises(ProtocolMisuse, match=r"while the request is <Reading\."):
            connection.reader._move(event)
        assert connection.reader.reading is state


@pytest.mark.parametrize(("state", "event"), list(product(Sending, SendEvent)))
def test_each_move_of_the_response_side(state: Sending, event: SendEvent) -> None:
    connection = Connection(Limits(), "")
    connection.encoder.sending = state
    if (state, event) in SENDING_TRANSITIONS:
        connection.encoder._move(event)
        assert connection.encoder.sending is SENDING_TRANSITIONS[state, event]
    else:
        with pytest.raises(ProtocolMisuse, match=r"while the response is <Sending\."):
            connection.encoder._move(event)
        assert connection.encoder.sending is state


@pytest.mark.parametrize(("state", "event"), list(product(Phase, ChunkEvent)))
def test_each_move_of_a_chunked_body(state: Phase, event: ChunkEvent) -> None:
    decoder = ChunkedDecoder(Limits(), 0)
    decoder.phase = state
    if (state, event) in PHASE_TRANSITIONS:
        decoder._move(event)
        assert decoder.phase is PHASE_TRANSITIONS[state, event]
    else:
        with pytest.raises(ProtocolMisuse, match=r"while the body is at <Phase\."):
            decoder._move(event)
        assert decoder.phase is state


def test_closed_is_the_end() -> None:
    assert {after for (before, _), after in READING_TRANSITIONS.items() if before is Reading.CLOSED} == {Reading.CLOSED}
    assert {after for (before, _), after in SENDING_TRANSITIONS.items() if before is Sending.CLOSED} == {Sending.CLOSED}


def test_an_error_leads_nowhere_but_out() -> None:
    assert {after for (before, _), after in READING_TRANSITIONS.items() if before is Reading.ERROR} == {Reading.CLOSED}


def test_a_request_while_a_response_is_owed_is_a_mistake_of_ours() -> None:
    connection = Connection(Limits(), "")
    connection.encoder.sending = Sending.READY
    connection.reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    with pytest.raises(ProtocolMisuse):
        connection.next_event()
