"""What a process had not written when it was killed comes into the file once, whatever of it was there already."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.servers import ROOT
from waitressd.requestlog.recovery import append_left
from waitressd.requestlog.spool import Left

LINES = b"".join(b"line %d %s\n" % (number, b"x" * 700) for number in range(20))
PAGE = 4096


def left_of(path: Path, size: int, begun: int = len(LINES)) -> Left:
    return Left(LINES, begun, size, path.stat().st_ino)


def test_what_nobody_has_begun_to_write_is_appended(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append_left(Left(b"one\ntwo\n"), str(path), 0o600)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("begun", [LINES.index(b"line 7"), len(LINES)])
@pytest.mark.parametrize("others", [b"", b"another's\n"])
def test_what_was_written_and_not_noted_is_not_written_again(begun: int, others: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"before\n" + others + LINES[:begun] + others)
    append_left(left_of(path, 7, begun), str(path), 0o600)
    assert path.read_bytes() == b"before\n" + others + LINES[:begun] + others + LINES[begun:]


@pytest.mark.parametrize("pages", [1, 2, 3])
@pytest.mark.parametrize("before", [b"", b"before\n", b"line 0 x\n", b"x\n" * 500])
def test_a_write_that_was_cut_short_is_completed(pages: int, before: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes((before + LINES)[: pages * PAGE])
    append_left(left_of(path, min(7, len(before))), str(path), 0o600)  # the rest of what was before is another's
    assert path.read_bytes() == before + LINES


def test_a_write_of_which_nothing_came_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"before\n")
    append_left(left_of(path, 7), str(path), 0o600)
    assert path.read_bytes() == b"before\n" + LINES


def test_another_file_than_the_one_that_was_written_gets_all(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(LINES)
    left = left_of(path, 0)
    path.rename(tmp_path / "a.log.1")
    append_left(left, str(path), 0o600)
    assert path.read_bytes() == LINES


def test_standard_output_may_be_a_pipe(capfd: pytest.CaptureFixture[str]) -> None:
    append_left(Left(b"one\ntwo\n", begun=4), "-", 0o600)
    assert capfd.readouterr().out == "one\ntwo\n"


def test_a_file_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    append_left(Left(b"one\ntwo\n", 4), str(tmp_path / "missing" / "a.log"), 0o600)
    (message,) = caplog.messages
    assert message.startswith("2 lines of a process that was killed are lost: cannot open the request log")


@pytest.mark.skipif(sys.platform != "linux", reason="memory files are found by /proc here")
def test_every_line_of_processes_that_are_killed_is_there_once_and_whole(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.spooling", str(tmp_path), "40"],
        cwd=ROOT, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": "0"},
    )  # fmt: skip
    found = json.loads(done.stdout)
    assert found.pop("told") >= 40
    assert found == {"lost": [], "doubled": [], "torn": []}, done.stderr
