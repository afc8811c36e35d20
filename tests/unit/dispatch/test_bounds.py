"""How much an event loop takes on: what holds where nobody says anything."""

from dataclasses import FrozenInstanceError

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.dispatch.bounds import Bounds


def test_the_defaults_are_those_of_the_settings() -> None:
    settings = Adjustments()
    bounds = Bounds()
    assert bounds.threads == settings.threads
    assert bounds.queue_limit == settings.queue_limit
    assert bounds.queue_timeout == settings.queue_timeout
    assert bounds.channel_timeout == settings.channel_timeout


def test_nothing_in_it_changes() -> None:
    with pytest.raises(FrozenInstanceError):
        Bounds().threads = 2  # type: ignore[misc]  # that is what is tried
