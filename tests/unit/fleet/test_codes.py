"""Processes that load the application by running the command, and what they say meanwhile."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.scripts import ROOT
from tests.support.waiting import wait_until
from waitressd.command import LINK_VARIABLE, StartCommand
from waitressd.fleet import processes
from waitressd.fleet.codes import Loading, inherited_link, run_command

TRACEBACK = 'Traceback (most recent call last):\n  File "app.py", line 1, in <module>\n    x\n'


@contextlib.contextmanager
def loading() -> Iterator[tuple[Loading, int]]:
    """Return what is read, and the descriptor that is written to."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    listened = Loading(reading)
    try:
        yield listened, writing
    finally:
        listened.close()
        with contextlib.suppress(OSError):
            os.close(writing)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("", ""),
        ("\n \n", ""),
        ("one\ntwo\n", "two"),
        ("one\ntwo\n\n  \n", "two"),
        ("two without an end", "two without an end"),
        (f"warning\n{TRACEBACK}NameError: x\n", "NameError: x"),
        (f"{TRACEBACK}NameError: x\nthe application could not be loaded\nbye\n", "NameError: x"),
        (f"{TRACEBACK}KeyError: 1\n\nDuring handling:\n\n{TRACEBACK}NameError: x\n", "NameError: x"),
        (f"{TRACEBACK}app.Error: many\n  lines\n", "app.Error: many"),
        (TRACEBACK, "x"),
        ("no licence\n/lib/a b.py:5: UserWarning: old: 1\n  import x\n", "no licence"),
        ("/lib/a.py:5: DeprecationWarning: old\n  import x\n", ""),
        ("/lib/a.py:5: UserWarning: old\nstopped\n", "stopped"),
        ("\udcff".encode("utf-8", "surrogateescape").decode("latin-1"), "ÿ"),
    ],
)
def test_the_line_that_says_most(said: str, line: str) -> None:
    with loading() as (listened, writing):
        os.write(writing, said.encode())
        listened.read_all()
        assert listened.last_line() == line


def test_bytes_that_are_no_text_are_shown() -> None:
    with loading() as (listened, writing):
        os.write(writing, b"\xff!\n")
        listened.read_all()
        assert listened.last_line() == "\\xff!"


def test_reading_never_waits_and_knows_the_end() -> None:
    with loading() as (listened, writing):
        assert listened.read()
        os.write(writing, b"a")
        assert listened.read()
        assert listened.said == b"a"
        os.close(writing)
        assert not listened.read()
        listened.close()
        assert not listened.read()
        listened.close()  # twice is harmless


def test_of_megabytes_the_end_is_kept() -> None:
    with loading() as (listened, writing):
        for number in range(1000):
            os.write(writing, b"%4000d\n" % number)
            listened.read()
        listened.read_all()
        assert len(listened.said) == 65536
        assert listened.last_line() == "999"


def test_what_was_said_is_passed_on_once(capsys: pytest.CaptureFixture[str]) -> None:
    with loading() as (listened, writing):
        os.write(writing, b"one\ntwo")
        listened.read_all()
        listened.pass_on()
        listened.pass_on()
    assert capsys.readouterr().err == "one\ntwo"


SAYS_HELLO = """
import os, sys
sys.path.insert(0, sys.argv[1])
from waitressd.fleet.codes import inherited_link
link = inherited_link()
assert inherited_link() is None
assert not os.get_inheritable(link.fileno())
print("loading", file=sys.stderr)
link.send("hello", folder=os.getcwd(), mark=os.environ.get("MARK"), socket=os.environ.get("NOTIFY_SOCKET"))
"""


def reap_one(pid: int) -> int:
    """Wait for a child; return its exit status."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_command_is_run_with_a_link_and_its_words_are_heard(tmp_path: Path) -> None:
    environ = {**os.environ, "MARK": "kept", "NOTIFY_SOCKET": "/for/the/master/alone"}
    command = StartCommand((sys.executable, "-c", SAYS_HELLO, str(ROOT)), environ, str(tmp_path))
    pid, link, said = run_command(command)
    with contextlib.closing(link), contextlib.closing(said):
        assert reap_one(pid) == 0
        (message,) = link.receive()
        assert message.name == "hello"
        assert message.fields == {"folder": str(tmp_path.resolve()), "mark": "kept", "socket": None}
        assert link.receive() == []
        assert link.is_over  # nobody else has the other end
        said.read_all()
        assert said.last_line() == "loading"
        assert not said.read()


def test_a_command_that_cannot_be_run_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="gone"):
        run_command(StartCommand((str(tmp_path / "gone"),), {}, str(tmp_path)))


def test_a_process_that_nobody_has_started_for_this_has_no_link(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(LINK_VARIABLE, raising=False)
    assert inherited_link() is None
    monkeypatch.setenv(LINK_VARIABLE, "nonsense")
    assert inherited_link() is None
    assert LINK_VARIABLE not in os.environ


def test_a_process_that_has_started_keeps_nothing_of_its_master(tmp_path: Path) -> None:
    """The ends of other links and listeners are not inherited."""
    listing = "import os, sys\nsys.stderr.write(' '.join(sorted(os.listdir('/proc/self/fd'), key=int)))"
    command = StartCommand((sys.executable, "-c", listing), dict(os.environ), str(tmp_path))
    with loading():
        pid, link, said = run_command(command)
        with contextlib.closing(link), contextlib.closing(said):
            assert reap_one(pid) == 0
            said.read_all()
            numbers = [int(word) for word in said.last_line().split()]
            assert len([number for number in numbers if number > 2]) == 2  # the link, and the listing itself


def test_a_kill_of_who_has_ended_is_harmless(tmp_path: Path) -> None:
    command = StartCommand((sys.executable, "-c", "import time; time.sleep(60)"), dict(os.environ), str(tmp_path))
    pid, link, said = run_command(command)
    with contextlib.closing(link), contextlib.closing(said):
        processes.kill(pid)
        assert wait_until(link.is_hung_up)
        processes.kill(pid)
        assert reap_one(pid) == -9
