"""The values of a channel have the defaults that the manual promises."""

import dataclasses

import pytest

from tests.support.loop import DATE, hello
from waitressd.net.channelsettings import ChannelSettings
from waitressd.net.progress import Deadlines
from waitressd.wsgi.input import BodySpool


def test_every_deadline_is_finite_and_positive() -> None:
    for value in dataclasses.astuple(Deadlines()):
        assert 0 < value < 1000


def test_a_head_has_twenty_seconds_and_a_body_a_minimum_rate() -> None:
    deadlines = Deadlines()
    assert (deadlines.request_header_timeout, deadlines.request_body_min_rate, deadlines.response_min_rate) == (
        20,
        240,
        240,
    )


def test_settings_cannot_be_changed_behind_the_back_of_a_channel() -> None:
    settings = ChannelSettings(hello, lambda _length: BodySpool(10), lambda: DATE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings.ident = "other"  # type: ignore[misc]  # that is the point
    assert settings.limits.max_request_body_size == 1 << 30
    assert settings.proxy_protocol is None
    assert settings.observer is None
