"""What the plan asks for is values: they compare, and do not change."""

import dataclasses
import typing

import pytest

from waitressd.fleet import actions


def test_every_action_is_a_frozen_value() -> None:
    for kind in typing.get_args(actions.Action):
        assert dataclasses.is_dataclass(kind)
        assert kind.__hash__ is not None  # only a frozen one has a hash
        assert kind.__doc__


def test_an_action_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        actions.Spawn(1, 1, 1).place = 2  # type: ignore[misc]  # that is what is tried
