"""The table: every option of waitress, the names of the contract, and rows that the manual can be made of."""

import socket
from dataclasses import fields

import pytest

from waitressd.config.adjustments import ALIASES, SETTINGS, Adjustments
from waitressd.config.settings import Group, Setting, Standing


def waitress_options() -> set[str]:
    from waitress.adjustments import Adjustments as Theirs

    return {name for name, _ in Theirs._params}


def test_every_option_of_waitress_is_accepted() -> None:
    assert waitress_options() <= SETTINGS.keys() | ALIASES.keys()


def test_no_setting_claims_to_be_new_that_waitress_has() -> None:
    new = {name for name, row in SETTINGS.items() if row.heritage.standing in (Standing.NEW, Standing.RETIRED)}
    assert not new & waitress_options()
    assert SETTINGS.keys() - new == waitress_options()


def test_defaults_that_are_called_the_same_are_the_same() -> None:
    from waitress.adjustments import Adjustments as Theirs

    for name, row in SETTINGS.items():
        if row.heritage.standing is not Standing.SAME or name in ("listen", "trusted_proxy_count", "sockets"):
            continue
        theirs = getattr(Theirs, name)
        empty = not theirs and not row.default
        assert row.default == theirs or empty, name


def test_every_field_is_a_row() -> None:
    assert [declared.name for declared in fields(Adjustments) if declared.name != "origins"] == list(SETTINGS)


@pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda row: row.name)
def test_a_row_has_its_sentences(row: Setting) -> None:
    assert row.summary.endswith(".")
    assert len(row.summary) <= 110
    assert row.kind.words
    assert row.is_inert is (row.group is Group.ACCEPTED)
    if row.heritage.standing in (Standing.CHANGED, Standing.INERT, Standing.RETIRED):
        assert row.heritage.note.endswith(".")


def test_every_group_has_settings() -> None:
    assert {row.group for row in SETTINGS.values()} == set(Group)


def test_sockets_must_be_stream_sockets() -> None:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        assert Adjustments.from_keywords(sockets=[stream]).sockets == (stream,)
        for wrong in ([datagram], [], ["x"], stream):
            with pytest.raises(ValueError, match="stream socket"):
                Adjustments.from_keywords(sockets=wrong)
