"""What a master shows at a terminal, as its plan goes on."""

import io
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.fleetstory import Story
from waitressd.command import started
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.handover import HandOver
from waitressd.fleet.hello import Hello
from waitressd.fleet.shown import Shown
from waitressd.listeners import open_listeners
from waitressd.logsetup import LogSetup
from waitressd.net.listener import Listener


class Screen(io.StringIO):
    """Standard error of somebody at a terminal."""

    def isatty(self) -> bool:
        return True


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Put a screen in the place of standard error; in the test itself, for pytest has one of its own in each phase."""
    stream = Screen()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    return stream


@pytest.fixture
def listener() -> Iterator[Listener]:
    (found,) = open_listeners(Adjustments.from_keywords(listen="127.0.0.1:0"))
    yield found
    found.close()


def shown(story: Story, *listeners: Listener, prints: bool = True, **options: Any) -> Shown:
    hello = Hello(2, is_preloaded=True, preload_is_off="", settings={"threads": "5"})
    logs = options.pop("logs", LogSetup())
    return Shown(HandOver(started, hello, listeners, None, logs, prints=prints, **options), story.plan)


def test_where_it_serves_is_said_once(monkeypatch: pytest.MonkeyPatch, listener: Listener) -> None:
    screen = at_a_terminal(monkeypatch)
    story = Story(2)
    what = shown(story, listener)
    what.say_addresses()
    what.say_addresses()
    lines = screen.getvalue().splitlines()
    assert lines[0].endswith(f" on http://{listener.name}")
    assert lines[1] == "  2 workers x 5 threads"
    assert len(lines) == 3


def test_who_has_no_terminal_gets_the_line_of_old(listener: Listener, capsys: pytest.CaptureFixture[str]) -> None:
    shown(Story(2), listener).say_addresses()
    assert capsys.readouterr().err == f"Serving on http://{listener.name}\n"
    shown(Story(2), listener, prints=False).say_addresses()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("options", [{"logs": LogSetup(level=30)}, {"can_reload": False}], ids=["quiet", "a program"])
def test_who_does_not_want_it_sees_nothing(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, listener: Listener
) -> None:
    screen = at_a_terminal(monkeypatch)
    story = Story(2)
    what = shown(story, listener, prints=False, **options)
    what.say_addresses()
    story.start()
    what.look(0.0)
    what.look(5.0)
    assert screen.getvalue() == ""
    assert what.due == float("inf")


def test_a_start_a_reload_and_a_stop_say_what_they_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = at_a_terminal(monkeypatch)
    story = Story(2)
    what = shown(story)
    story.start()
    what.look(0.0)
    assert what.due < float("inf")
    what.look(1.0)
    assert screen.getvalue().endswith("loading: 0 of 2 workers serve\r")
    story.boot_all()
    what.look(2.0)
    assert screen.getvalue().endswith("\x1b[K")
    assert what.due == float("inf")
    story.tell("hup")
    what.look(3.0)
    what.look(4.0)
    assert screen.getvalue().endswith("reload: the new code is being loaded\r")
    story.tell("stop", "SIGTERM")
    what.look(5.0)
    what.look(6.5)
    assert "finishing: 2 workers, " in screen.getvalue()
    what.end()
    assert screen.getvalue().endswith("\x1b[K")
