"""Top with textual: the same requests, and what the keys do."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.support.insightfake import HEAD, InsightFake, in_json, insight_fake, request_row, requests_document
from waitressd.tools.client import Client
from waitressd.tools.picture import Picture, look
from waitressd.tools.target import Target, Tokens, Words, find_target

pytest.importorskip("textual")
if sys.platform != "win32":
    from tests.support.terminals import in_terminal
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from waitressd.tools.screen import Confirmation, TopScreen

ROOT = Path(__file__).parent.parent.parent.parent
Steps = Callable[[TopScreen, Pilot[None]], Awaitable[None]]


def walk(fake: InsightFake, steps: Steps, size: tuple[int, int] = (120, 40)) -> None:
    """Show the server, take the steps, and end with q."""

    async def go() -> None:
        client = Client(Target(find_target(Words(fake.address), {}).address, Tokens()), 5.0)
        app = TopScreen(client, look(client, Picture()))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await steps(app, pilot)
            await pilot.press("q")
        assert app.return_code == 0

    asyncio.run(go())


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Go on until something holds; pytest's own timeout ends a test in which it never does."""
    while not holds():
        await pilot.pause(0.02)


def told(app: TopScreen) -> str:
    return str(app.query_one("#told", Static).render())


def head(app: TopScreen) -> str:
    return str(app.query_one("#head", Static).render())


def cells(app: TopScreen) -> list[list[str]]:
    table = app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row(key)] for key in table.rows]


def test_the_ids_are_those_of_the_document() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        assert app.identities == [row["id"] for row in requests_document({})["requests"]]
        assert "12 requests wait" in head(app)
        asked = len(fake.asked)
        await until(pilot, lambda: len(fake.asked) >= asked + 4)
        assert {item.path for item in fake.asked} == {"/stats", "/requests"}

    with insight_fake() as fake:
        walk(fake, steps)


def test_keys_that_choose() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        whole = app.identities
        await pilot.press("s")
        assert app.identities[0] == "2-51000-1"
        assert "by waited" in head(app)
        for _ in range(5):
            await pilot.press("s")
        assert app.identities == whole
        await pilot.press("w", "w")
        assert {identity[0] for identity in app.identities} == {"2"}
        await pilot.press("w")
        assert app.identities == whole
        await pilot.press("slash", *"upload")
        assert app.identities == ["1-88140-14"]
        await pilot.press("enter")
        assert app.identities == ["1-88140-14"]
        await pilot.press("escape")
        assert app.identities == whole
        await pilot.press("g")
        assert app.identities == ["shop/reports.py:214 totals", "shop/views.py:88 product"]
        await pilot.press("enter")
        await until(pilot, lambda: "/reports/annual" in told(app))
        await pilot.press("g")
        assert app.identities == whole

    with insight_fake() as fake:
        walk(fake, steps)


def test_the_stack_of_the_request_at_the_cursor() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        await pilot.press("down", "enter")
        await until(pilot, lambda: "rows = session.execute" in told(app))
        assert "> shop/reports.py:214" in told(app)
        assert "/reports/q3" in told(app)
        assert app.query_one("#below").has_class("shown")
        await pilot.press("escape")
        assert not app.query_one("#below").has_class("shown")
        fake.documents["/requests/1-88102-14"] = lambda _: in_json({"error": "gone"}, 404)
        await pilot.press("enter")
        await until(pilot, lambda: "1-88102-14 is not in flight any more" in told(app))

    with insight_fake() as fake:
        walk(fake, steps)


def test_the_cursor_stays_on_its_request() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        await pilot.press("down", "down")
        selected = app.identities[2]
        rows = [request_row(99, age_seconds=99.0), *requests_document({})["requests"]]
        fake.documents["/requests"] = lambda _: in_json({**HEAD, "total": 22, "requests": rows})
        await until(pilot, lambda: app.identities[0] == "1-88199-14")
        assert app.identities[app.query_one(DataTable).cursor_row] == selected

    with insight_fake() as fake:
        walk(fake, steps)


def test_pause() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        await pilot.press("p")
        fake.documents["/requests"] = lambda _: in_json({**HEAD, "total": 0, "requests": []})
        asked = len(fake.asked)
        await until(pilot, lambda: len(fake.asked) >= asked + 4)
        assert len(app.identities) == 21
        assert "paused" in head(app)
        await pilot.press("p")
        await until(pilot, lambda: app.identities == [])

    with insight_fake() as fake:
        walk(fake, steps)


def test_a_profile() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        await pilot.press("f")
        await until(pilot, lambda: "shop.reports:totals" in told(app))
        assert [item.parameters for item in fake.asked if item.path == "/profile"] == [
            {"seconds": "5", "format": "collapsed"}
        ]
        fake.documents["/profile"] = lambda _: in_json({"error": "one runs"}, 409)
        await pilot.press("f")
        await until(pilot, lambda: "one runs" in told(app))

    with insight_fake() as fake:
        walk(fake, steps)


def test_cancel_asks_first() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        await pilot.press("n")
        await until(pilot, lambda: not isinstance(app.screen, Confirmation))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Confirmation))
        assert all(item.method == "GET" for item in fake.asked)
        await pilot.press("y")
        await until(pilot, lambda: "1-88101-14 is cancelled" in told(app))
        changes = [item for item in fake.asked if item.method == "POST"]
        assert [(item.path, item.parameters) for item in changes] == [("/control/cancel", {"id": "1-88101-14"})]
        fake.documents["/control/cancel"] = lambda _: in_json({"error": "no", "setting": "admin_control"}, 403)
        await pilot.press("c", "y")
        await until(pilot, lambda: "no; see admin_control" in told(app))

    with insight_fake() as fake:
        walk(fake, steps)


def test_a_server_that_is_gone_and_back() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        kept = dict(fake.documents)
        for path in ("/stats", "/requests"):
            fake.documents[path] = lambda _: in_json({"error": "restarting"}, 503)
        await until(pilot, lambda: "no answer since" in head(app))
        assert len(app.identities) == 21
        assert "restarting" in head(app)
        fake.documents |= kept
        await until(pilot, lambda: "no answer" not in head(app))

    with insight_fake() as fake:
        walk(fake, steps)


HOSTILE = "[bold red]\x1b[2J\u202e<script>" * 2000


def test_hostile_text_is_shown_as_text() -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        assert app.identities == [HOSTILE, "\x1b[2J"]
        shown = "\n".join(cell for row in cells(app) for cell in row)
        assert "[bold red]\\x1b[2J\\u202e<script>" in shown
        assert "\x1b" not in shown
        await pilot.press("g", "enter", "g", "enter", "c", "n")
        await pilot.pause()

    with insight_fake() as fake:
        row = request_row(target=HOSTILE, route=HOSTILE, client=HOSTILE, place=HOSTILE, id=HOSTILE, thread=HOSTILE)
        places = [{"place": HOSTILE, "count": 1, "oldest_seconds": 1.0, "ids": [HOSTILE]}]
        rows = [row, {"id": "\x1b[2J"}, row]
        fake.documents["/requests"] = lambda _: in_json({**HEAD, "requests": rows, "places": places})
        walk(fake, steps)


@pytest.mark.parametrize("size", [(42, 12), (80, 24), (250, 60)])
def test_any_size(size: tuple[int, int]) -> None:
    async def steps(app: TopScreen, pilot: Pilot[None]) -> None:
        table = app.query_one(DataTable)
        assert table.virtual_size.width <= size[0]
        await pilot.resize_terminal(90, 20)
        await pilot.press("enter")
        await until(pilot, lambda: "totals" in told(app))

    with insight_fake() as fake:
        walk(fake, steps, size)


@pytest.mark.skipif(sys.platform == "win32", reason="the system has no pseudo terminals")
@pytest.mark.parametrize("key", ["q", "\x03"])
def test_it_ends_in_a_terminal_of_its_own(key: str) -> None:
    with insight_fake() as fake:
        environ = {**os.environ, "TERM": "xterm", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "waitressd", "top", fake.address]
        with in_terminal(command, environ, (30, 120)) as terminal:
            before = terminal.settings()
            terminal.read_until("1-88101-14")
            terminal.read_until("Profile")
            terminal.press(key)
            assert terminal.wait() == 0
            assert b"\x1b[?1049l" in terminal.drawn
            assert b"\x1b[?25h" in terminal.drawn
            assert terminal.settings() == before
