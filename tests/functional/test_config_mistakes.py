"""Wrong settings: for each the exact message, the status, and nothing done, through all the ways in.

`mistakes.txt` holds the cases: lines of a [server:main] section that starts in line 5 of its file, then the messages,
each after "->" with its line.
"""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support import configapp
from waitressd.cli import main
from waitressd.config.errors import ConfigError

HEAD: Final = """\
[app:main]
use = call:tests.support.configapp:factory
[server:main]
use = egg:waitressd#main
"""
BODY_LINE: Final = 3
"""The line that the first line of a case has in `mistakes.txt`."""


def cases() -> Iterator[Any]:
    text = Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8")
    for block in text.strip().split("\n\n"):
        body, *messages = block.split("\n-> ")
        expected = []
        for message in messages:
            line, _, rest = message.partition(": ")
            expected.append((int(line) - BODY_LINE + HEAD.count("\n") + 1, rest))
        yield pytest.param(body, expected, id=body.replace("\n", " ")[:60].encode("ascii", "replace").decode())


CASES: Final = list(cases())


@pytest.fixture(autouse=True)
def a_process_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start in a folder of its own, without variables that a case wants unset; leave logging as it was."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "THREADS", "APP", "STAGE", "LIMIT"):
        monkeypatch.delenv(name, raising=False)
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("waitressd").level
    configapp.loaded.clear()
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    logging.getLogger("waitressd").setLevel(before[2])


def write(body: str) -> str:
    Path("wrong.ini").write_text(f"{HEAD}{body}\n", encoding="utf-8")
    return "wrong.ini"


def message(expected: list[tuple[int, str]]) -> str:
    return "\n".join(f"wrong.ini:{line} [server:main]: {rest}" for line, rest in expected)


def nothing_happened(threads: int) -> bool:
    return not configapp.loaded and threading.active_count() <= threads  # one of an earlier test may just have ended


def test_there_are_at_least_a_hundred() -> None:
    assert len(CASES) >= 150


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_loadserver_raises(body: str, expected: list[tuple[int, str]]) -> None:
    from paste.deploy import loadserver

    threads = threading.active_count()
    with pytest.raises(ConfigError) as caught:
        loadserver(f"config:{write(body)}", relative_to=str(Path.cwd()))
    assert str(caught.value) == message(expected)
    assert nothing_happened(threads)


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_pserve_ends_with_the_message_alone(
    body: str, expected: list[tuple[int, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    from pyramid.scripts import pserve

    threads = threading.active_count()
    with pytest.raises(SystemExit) as caught:
        pserve.main(["pserve", write(body)], quiet=True)
    # Python prints the code of a SystemExit and ends with 1. Where workers are asked for, it is 2, and printed.
    said = capsys.readouterr().err.removesuffix("\n") if caught.value.code == 2 else caught.value.code
    assert said == message(expected)
    assert nothing_happened(threads)


@pytest.mark.parametrize(("body", "expected"), CASES)
@pytest.mark.parametrize("flags", [[], ["--check-config"], ["--print-config"]], ids=["serve", "check", "print"])
def test_our_command_ends_with_status_2(
    body: str, expected: list[tuple[int, str]], flags: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    threads = threading.active_count()
    assert main([*flags, write(body)]) == 2
    captured = capsys.readouterr()
    assert captured.err == message(expected) + "\n"
    assert captured.out == ""
    assert nothing_happened(threads)


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    root = str(Path(__file__).parent.parent.parent)
    environment = {**os.environ, "PYTHONPATH": root, "PYTHONWARNINGS": "ignore"}
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment
    )


PSERVE: Final = ("-c", "import sys; from pyramid.scripts.pserve import main; sys.exit(main())")


def test_as_processes_the_ways_in_agree() -> None:
    write("threads = four\nlisten = *:80800")
    expected = message(
        [
            (5, "threads = four: expected a whole number, 1 to 1024"),
            (6, "listen = *:80800: expected a port number, 0 to 65535, not 80800"),
        ]
    )
    for arguments, status in (
        ((*PSERVE, "wrong.ini"), 1),
        ((*PSERVE, "wrong.ini", "-v"), 1),
        (("-m", "waitressd", "wrong.ini"), 2),
        (("-m", "waitressd", "-c", "wrong.ini", "--check-config"), 2),
    ):
        done = run(*arguments)
        assert (done.stderr.strip(), done.stdout, done.returncode) == (expected, "", status)


def test_an_address_in_use_is_named_and_ends_with_status_1() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        write(f"listen = 127.0.0.1:{port}")
        ours = run("-m", "waitressd", "wrong.ini")
        theirs = run(*PSERVE, "wrong.ini")
    assert ours.returncode == 1
    assert ours.stderr.startswith("waitressd: ")
    assert f"127.0.0.1:{port}" in ours.stderr
    assert "Traceback" not in ours.stderr
    if sys.platform == "linux":
        assert f"by process {os.getpid()} (" in ours.stderr
    assert theirs.returncode == 1
    assert f"127.0.0.1:{port}" in theirs.stderr.strip().splitlines()[-1]
