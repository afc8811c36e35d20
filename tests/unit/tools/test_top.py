"""Top without textual: drawn in a terminal of its own, and the terminal is left as it was."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.insightfake import InsightFake, insight_fake
from waitressd.tools.picture import Picture
from waitressd.tools.tables import Output
from waitressd.tools.texts import width_of
from waitressd.tools.top import frame

if sys.platform != "win32":
    from tests.support.terminals import Terminal, in_terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the system has no pseudo terminals")

ROOT = Path(__file__).parent.parent.parent.parent
WITHOUT_TEXTUAL = (
    "import sys\nsys.modules['textual'] = sys.modules['textual.app'] = None\n"
    "from waitressd.entry import main\nsys.exit(main(sys.argv[1:]))\n"
)
ENTERED, LEFT = b"\x1b[?1049h\x1b[?25l", b"\x1b[?25h\x1b[?1049l"


@contextmanager
def top(fake: InsightFake, size: tuple[int, int] = (24, 80)) -> Iterator["Terminal"]:
    environ = {**os.environ, "TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONPATH": str(ROOT)}
    for name in ("COLUMNS", "LINES"):
        environ.pop(name, None)
    command = [sys.executable, "-c", WITHOUT_TEXTUAL, "top", "--timeout=1", fake.address]
    with in_terminal(command, environ, size) as terminal:
        yield terminal


def test_it_draws_in_24_lines_of_80_columns() -> None:
    with insight_fake() as fake, top(fake) as terminal:
        before = terminal.settings()
        terminal.read_until("pip install 'waitressd[top]'")
        lines = terminal.shown().replace("\r", "").split("\n")
        assert len(lines) == 24
        assert max(map(width_of, lines)) <= 80
        assert lines[0].startswith("shop  waitressd 2.0")
        assert any("1-88101-14  application" in line for line in lines)
        assert "more; q ends" in lines[-1]
        assert terminal.drawn.startswith(ENTERED)
        terminal.forget()
        terminal.read_until("pip install")  # once more, without a key
        terminal.press("q")
        assert terminal.wait() == 0
        assert terminal.drawn.endswith(LEFT)
        assert terminal.settings() == before


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_a_signal_ends_it_and_restores_the_terminal(number: int, status: int) -> None:
    with insight_fake() as fake, top(fake) as terminal:
        before = terminal.settings()
        terminal.read_until("pip install")
        terminal.signal(number)
        assert terminal.wait() == status
        assert terminal.drawn.endswith(LEFT)
        assert terminal.settings() == before
        assert "Traceback" not in terminal.shown()


def test_ctrl_c_ends_it() -> None:
    with insight_fake() as fake, top(fake) as terminal:
        terminal.read_until("pip install")
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert terminal.drawn.endswith(LEFT)


def test_a_server_that_goes_and_one_that_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.sock"
    with insight_fake(path) as fake, top(fake) as terminal:
        terminal.read_until("pip install")
        path.rename(tmp_path / "away")
        terminal.read_until("no answer since ")
        terminal.read_until("is the server running")
        terminal.forget()
        terminal.read_until("1-88101-14")  # the last picture is still there
        (tmp_path / "away").rename(path)
        terminal.forget()
        while "no answer" in terminal.read_until("pip install"):
            terminal.forget()
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_small_terminal() -> None:
    with insight_fake() as fake, top(fake, (5, 30)) as terminal:
        terminal.read_until("more; q ends")
        lines = terminal.shown().replace("\r", "").split("\n")
        assert len(lines) == 5
        assert max(map(width_of, lines)) <= 30
        terminal.press("q")
        assert terminal.wait() == 0


def test_a_frame_without_a_height_has_everything() -> None:
    assert frame(Picture(), Output(), None)[-1] == "no requests in flight"
    assert len(frame(Picture(), Output(80), 1)) == 1
