"""What is written for somebody at a terminal, as values."""

import io
from pathlib import Path

import pytest

from waitressd import console, version
from waitressd.console import CLEAR, Start, Waiting, banner, finishing, is_screen, takes_colours


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Screen(), {}, True),
        (Screen(), {"TERM": "dumb"}, False),
        (Screen(), {"NO_COLOR": "1"}, False),
        (Screen(), {"NO_COLOR": ""}, True),
        (Screen(), {"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
        (io.StringIO(), {}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (io.StringIO(), {"FORCE_COLOR": ""}, False),
        (None, {}, False),
    ],
)
def test_colours_are_for_terminals_unless_somebody_says_otherwise(
    stream: io.StringIO | None, environ: dict[str, str], *, expected: bool
) -> None:
    assert takes_colours(stream, environ) is expected


def test_a_stream_that_is_closed_is_no_terminal() -> None:
    stream = Screen()
    stream.close()
    assert is_screen(Screen(), {})
    closed = io.StringIO()
    closed.close()
    assert not is_screen(closed, {})


EVERYTHING = Start(
    ["http://127.0.0.1:80", "unix:/run/web.sock"], 8, 4, "/srv/shop/production.ini", "unix:/run/a.sock", 17
)


def test_a_banner_says_where_with_what_and_how_to_stop() -> None:
    lines = banner(EVERYTHING, coloured=False).splitlines()
    assert lines == [
        f"waitressd {version.__version__} on http://127.0.0.1:80, unix:/run/web.sock",
        "  4 workers x 8 threads, as /srv/shop/production.ini says",
        "  Ctrl-C stops it; kill -HUP 17 loads new code",
        "  waitressd top /srv/shop/production.ini shows who is in it",
    ]


def test_a_banner_has_no_more_than_there_is() -> None:
    text = banner(Start(["http://[::1]:8080"], 1), coloured=False)
    assert text.splitlines()[1:] == ["  1 thread", "  Ctrl-C stops it"]
    assert "waitressd top unix:/a" in banner(Start(["x"], 1, admin="unix:/a"), coloured=False)


def test_a_banner_has_colours_where_they_are_wanted() -> None:
    plain, coloured = banner(EVERYTHING, coloured=False), banner(EVERYTHING, coloured=True)
    assert "\x1b" not in plain
    assert "\x1b[1mhttp://127.0.0.1:80" in coloured
    assert all(line.count("\x1b[") == 2 for line in coloured.splitlines())


def test_a_file_in_the_current_folder_has_its_short_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    start = Start(["x"], 1, config=str(tmp_path / "etc" / "production.ini"))
    assert "as etc/production.ini says" in banner(start, coloured=False)


# -- what is waited for


def test_what_takes_less_than_a_second_is_not_said() -> None:
    written: list[str] = []
    waiting = Waiting(written.append)
    waiting.look(10.0, "a")
    waiting.look(10.9, "a")
    waiting.look(10.95, "")
    waiting.look(11.5, "a")
    waiting.look(12.4, "a")
    waiting.end()
    assert written == []


def test_a_line_is_renewed_in_its_place_and_taken_away() -> None:
    written: list[str] = []
    waiting = Waiting(written.append)
    for now, text in ((0.0, "two"), (1.0, "two"), (1.5, "two"), (2.0, "one"), (3.0, "")):
        waiting.look(now, text)
    waiting.end()
    assert written == [f"{CLEAR}two\r", f"{CLEAR}one\r", CLEAR]


def test_without_a_terminal_nothing_is_looked_up() -> None:
    waiting = Waiting(None)
    assert not waiting.is_watched
    waiting.look(0.0, "a")
    waiting.look(9.0, "a")
    waiting.end()


@pytest.mark.parametrize(("things", "expected"), [(0, "clients, 3 s"), (1, "1 request, 3 s"), (2, "2 requests, 3 s")])
def test_a_stop_says_what_it_waits_for(things: int, expected: str) -> None:
    assert finishing(things, "request", 3.2) == f"finishing: {expected} at most"
    assert finishing(1, "request", -1).endswith(" 0 s at most")


def test_loading_says_what_and_takes_it_back_whatever_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    screen = Screen()
    with pytest.raises(ZeroDivisionError), console.loading("shop.ini", screen):
        assert screen.getvalue() == f"{CLEAR}loading shop.ini ...\r"
        raise ZeroDivisionError
    assert screen.getvalue().endswith(f"\r{CLEAR}")
    file = io.StringIO()
    with console.loading("shop.ini", file), console.loading("shop.ini", None):
        pass
    assert file.getvalue() == ""
