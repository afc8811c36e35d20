"""What there is to say of a process that has loaded the application."""

from collections.abc import Sequence
from typing import Any

import pytest

from tests.apps.plain import hello as application
from tests.support.scripts import lines_of
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.hazards import Hazard
from waitressd.fleet.hello import Hello
from waitressd.fleet.loaded import hello_of
from waitressd.fleet.processes import can_adopt
from waitressd.server import Server


def said(known: Sequence[Hazard] = (), **settings: Any) -> Hello:
    """Return the hello of a server with these settings."""
    return hello_of(Server(Adjustments.from_keywords(**settings), application), known)


def test_settings_are_said_where_they_are_not_the_usual() -> None:
    assert said().settings == {}
    assert said(port=8081, threads=9, ident="me").settings == {"port": "8081", "threads": "9"}


@pytest.mark.skipif(not can_adopt(), reason="no system for templates")
def test_a_hazard_keeps_from_preloading_unless_it_is_wanted_or_was_known() -> None:
    lines = lines_of(
        """
import socket
from tests.unit.fleet.test_loaded import said
from waitressd.fleet.hazards import find_hazards
before = find_hazards()
one, other = socket.socketpair()
print(said(before, workers=2).is_preloaded, said(before, workers=2).preload_is_off)
print(said(before, workers=2, preload="on").is_preloaded)
off = said(before, workers=2, preload="off")
print(off.is_preloaded, f"<{off.preload_is_off}>")
print(said(find_hazards(), workers=2).is_preloaded)
"""
    )
    assert lines == ["False the application left one end of a socket pair open", "True", "False <>", "True"]


def test_the_mode_may_be_decided_already() -> None:
    server = Server(Adjustments.from_keywords(workers=2, preload="off"), application)
    assert hello_of(server, is_preloaded=True).is_preloaded
