"""A fleet as its master knows it, and the endpoints of that master."""

import json
import time
from typing import Any

from waitressd.insight.answers import Answer, Query
from waitressd.insight.crowd import Member
from waitressd.insight.documents import Place
from waitressd.insight.fleet import FleetEndpoints
from waitressd.insight.fleetview import FleetState

PLACE = Place("shop", "1.0", 1, 99)


class Fleet:
    """A fleet as its master knows it."""

    def __init__(self) -> None:
        now = time.monotonic()
        self.state = FleetState("serving", now - 7, 2, now, now)
        self.live_timeout = 10.0
        self.longest_sleep_seconds = 5.0
        self.known: list[Member] = []
        self.drains = 0

    def members(self) -> list[Member]:
        return self.known

    def drain(self) -> None:
        self.drains += 1


def question(fleet: Fleet, path: str, method: str = "GET", **parameters: str) -> Answer:
    """Ask an endpoint itself."""
    found = {each.path: each for each in FleetEndpoints(fleet, PLACE).endpoints()}
    return found[path].answer(Query(method, path, parameters, ""))


def document(answered: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(answered.body))
    return found
