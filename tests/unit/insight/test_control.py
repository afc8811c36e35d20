"""What can be changed: a drain, a request that ends, and the level of a logger, which comes back by itself."""

import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.apps.plain import hello
from tests.support.waiting import wait_until
from waitressd import create_server
from waitressd.insight.answers import Answer, BadQuestion, Query
from waitressd.insight.control import MOST_LEVELS, Control, LogLevels
from waitressd.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    made = create_server(hello, listen="127.0.0.1:0")
    yield made
    made.close()


def ask(control: Control, path: str, **parameters: str) -> Answer:
    endpoint = {each.path: each for each in control.endpoints()}[path]
    return endpoint.answer(Query("POST", path, parameters, ""))


def document(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b"".join(answer.body))
    return found


def test_a_drain_is_asked_for(server: Server) -> None:
    answer = ask(Control(server), "/control/drain")
    assert (answer.status, document(answer)["life"]) == (202, "starting")
    assert server._drain_asked_at < float("inf")


def test_a_request_is_cancelled_by_its_id(server: Server) -> None:
    asked: list[str] = []

    def cancel(request_id: str) -> bool:
        asked.append(request_id)
        return request_id == "1-2-3"

    control = Control(server, cancel)
    assert ask(control, "/control/cancel", id="1-2-3").status == 202
    assert ask(control, "/control/cancel", id="1-2-4").status == 404
    assert asked == ["1-2-3", "1-2-4"]
    for wrong in ({}, {"id": "1", "b": "2"}):
        with pytest.raises(BadQuestion, match="id"):
            ask(control, "/control/cancel", **wrong)
    assert "/control/cancel" not in [each.path for each in Control(server).endpoints()]


def test_a_level_comes_back_by_itself(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("tests.shop")
    logger.setLevel(logging.ERROR)
    control = Control(server)
    answer = ask(control, "/control/log", logger="tests.shop", level="debug", minutes="0.01")
    found = document(answer)
    assert (answer.status, found["level"], found["former_level"]) == (200, "DEBUG", "ERROR")
    assert found["until"].endswith("Z")
    assert logger.level == logging.DEBUG
    assert wait_until(lambda: logger.level == logging.ERROR)
    control.close()
    assert wait_until(lambda: "the level of the logger tests.shop is ERROR again" in caplog.messages)
    assert not [thread for thread in threading.enumerate() if thread.name == "waitressd-insight-log"]


def test_the_end_of_the_server_brings_it_back() -> None:
    logger = logging.getLogger("tests.shop")
    logger.setLevel(logging.NOTSET)
    levels = LogLevels()
    assert levels.change("tests.shop", logging.DEBUG, 3600) == logging.NOTSET
    assert levels.change("tests.shop", logging.INFO, 3600) == logging.NOTSET, "what was there before the first change"
    levels.close()
    assert logger.level == logging.NOTSET


def test_a_level_that_the_program_has_set_since_stays() -> None:
    logger = logging.getLogger("tests.shop")
    levels = LogLevels()
    levels.change("tests.shop", logging.DEBUG, 3600)
    logger.setLevel(logging.CRITICAL)
    levels.close()
    assert logger.level == logging.CRITICAL
    logger.setLevel(logging.NOTSET)


def test_there_are_few_changes_at_a_time() -> None:
    levels = LogLevels()
    try:
        for number in range(MOST_LEVELS):
            levels.change(f"tests.many{number}", logging.DEBUG, 3600)
        with pytest.raises(BadQuestion):
            levels.change("tests.one_more", logging.DEBUG, 3600)
    finally:
        levels.close()


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"logger": "root"},
        {"level": "DEBUG"},
        {"logger": "root", "level": "LOUD"},
        {"logger": "root", "level": "10"},
        {"logger": "tests.never_seen", "level": "DEBUG"},
        {"logger": "root", "level": "DEBUG", "minutes": "0"},
        {"logger": "root", "level": "DEBUG", "minutes": "nan"},
        {"logger": "root", "level": "DEBUG", "minutes": "1e9"},
        {"logger": "root", "level": "DEBUG", "minutes": "soon"},
        {"logger": "root", "level": "DEBUG", "more": "1"},
    ],
)
def test_what_makes_no_sense_changes_nothing(server: Server, parameters: dict[str, str]) -> None:
    before = logging.getLogger().level
    with pytest.raises(BadQuestion):
        ask(Control(server), "/control/log", **parameters)
    assert logging.getLogger().level == before
    assert "tests.never_seen" not in logging.root.manager.loggerDict


def test_what_waits_for_a_lock_of_logging_is_slow(server: Server) -> None:
    slow = {each.path: each.is_slow for each in Control(server).endpoints()}
    assert slow == {"/control/drain": False, "/control/log": True}
