"""The tutorial, as somebody follows it: each command is run, and what it says is what the page says."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.support.client import Client
from tests.support.fleets import needs_a_fleet
from tests.support.manual import DOCS, blocks
from tests.support.servers import ROOT, free_port
from tests.support.terminals import Terminal, in_terminal
from tests.support.waiting import wait_until

pytestmark = needs_a_fleet

INSTALL: Final = "python3 -m venv .venv && .venv/bin/pip install -q -e . && .venv/bin/"
"""The tests have done this; what follows is run."""
DAYS: Final = "Mon|Tue|Wed|Thu|Fri|Sat|Sun|Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
VARIABLE: Final = re.compile(rf"\d[\d:.,-]*|\b(?:[nmu]?s|{DAYS})\b|\s+|\.\.\.")


def pattern_of(lines: list[str]) -> str:
    """Write lines as a pattern: numbers, units of time, days and blanks may differ, others may come between them."""

    def loose(text: str) -> str:
        parts, at = [], 0
        for match in VARIABLE.finditer(text):
            kind = match[0]
            parts.append(re.escape(text[at : match.start()]))
            parts.append(
                r".*" if kind == "..." else r"\s+" if kind.isspace() else r"\w*" if kind[0] > "9" else r"[\d:.,-]+"
            )
            at = match.end()
        return "".join(parts) + re.escape(text[at:])

    return r"(?:.*\n)*?.*?\s*".join(loose(line.strip()) for line in lines if line.strip() not in {"", "..."})


class Reader:
    """Somebody with two terminals: one in which servers run, and one for everything else."""

    def __init__(self, folder: Path, ports: dict[str, str]) -> None:
        self.folder = folder
        self.ports = ports
        self.terminal: Terminal | None = None
        self.stack = ExitStack()
        self.commands = 0
        programs = folder / "programs"
        programs.mkdir()
        for name, start in {"waitressd": "-m waitressd", "pserve": "-m pyramid.scripts.pserve"}.items():
            (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {start} "$@"\n', encoding="ascii")
            (programs / name).chmod(0o755)
        path = f"{programs}{os.pathsep}{os.environ['PATH']}"
        own = {"PATH": path, "PORT": ports["6543"], "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        self.environment = {**os.environ, "COLUMNS": "120", **own}

    def follow(self, text: str) -> None:
        """Do what a block says."""
        for old, new in self.ports.items():
            text = text.replace(old, new)
        for part in re.split(r"^(?=\$ |\^C$)", text, flags=re.MULTILINE):
            head, *lines = part.split("\n")
            if head == "^C":
                self.end(lines)
            elif head.startswith("$ "):
                self.commands += 1
                self.run(head.removeprefix("$ "), lines)
            elif part.strip():
                self.expect_from_server([head, *lines])

    def run(self, command: str, lines: list[str]) -> None:
        """Run a command: a server, a signal for it, or something that ends by itself."""
        if command.startswith("export PYTHONPATH="):
            self.environment["PYTHONPATH"] = f"{command.partition('=')[2]}{os.pathsep}{ROOT}"
        elif command.startswith("pkill -"):
            assert self.terminal is not None
            self.terminal.signal(signal.Signals[f"SIG{command.split()[1].removeprefix('-')}"])
        elif any(line.strip().startswith("Ctrl-C stops it") for line in lines):
            self.start(command.removeprefix(INSTALL), lines)
        elif command.endswith(" &"):
            self.ask_meanwhile(command.removesuffix(" &"))
        else:
            done = subprocess.run(
                command, shell=True, cwd=self.folder, env=self.environment, capture_output=True, text=True, check=False
            )
            assert re.search(pattern_of(lines), done.stdout + done.stderr), (command, done.stdout, done.stderr)

    def start(self, command: str, lines: list[str]) -> None:
        """Start a server in the place of the one before."""
        self.end([])
        folder = ROOT if "configs/" in command else self.folder
        words = ["/bin/sh", "-c", f'cd "{folder}" && exec {command}']
        self.terminal = self.stack.enter_context(in_terminal([*words], self.environment, (40, 200)))
        self.expect_from_server(lines)
        with self.connect() as client:  # from here on it hears Ctrl-C
            assert client.get("/").status == 200

    def connect(self) -> Client:
        assert self.terminal is not None
        found = self.terminal.read_until_match(r"http://127\.0\.0\.1:(\d+)")
        return Client(("127.0.0.1", int(found[1])))

    def ask_meanwhile(self, command: str) -> None:
        """Have a request under way, which ends by itself."""
        client = self.stack.enter_context(self.connect())
        path = re.sub(r"^\S+ http://[\d.:]+", "", command)
        client.send(f"GET {path} HTTP/1.1\r\nHost: shop\r\n\r\n".encode())
        with Client(str(self.folder / "admin.sock")) as admin:
            assert wait_until(lambda: path.encode() in admin.get("/requests").body)

    def expect_from_server(self, lines: list[str]) -> None:
        """Wait until the server has said something."""
        assert self.terminal is not None
        self.terminal.read_until_match(pattern_of(lines))

    def end(self, lines: list[str]) -> None:
        """Press Ctrl-C in the terminal of the server."""
        if self.terminal is not None:
            self.terminal.press("\x03")
            assert self.terminal.wait() == 0
            if lines:
                self.expect_from_server(lines)
            self.leave()

    def leave(self) -> None:
        """Close the terminals."""
        self.stack.close()
        self.terminal = None


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    for path in (DOCS / "examples" / "tutorial").iterdir():
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            (tmp_path / path.name).write_text(text, encoding="utf-8")
    ports = {"6543": str(free_port()), "8080": str(free_port())}
    for path in tmp_path.glob("*.ini"):
        path.write_text(path.read_text(encoding="utf-8").replace("6543", ports["6543"]), encoding="utf-8")
    somebody = Reader(tmp_path, ports)
    try:
        yield somebody
    finally:
        somebody.leave()


@pytest.mark.timeout(180)  # it starts a server five times, and asks one that is slow
def test_somebody_who_follows_it_arrives(reader: Reader) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    found = list(blocks(DOCS / "tutorial.rst"))
    assert {block.language for block in found} == {"console"}
    for block in found:
        reader.follow(block.text)
    assert reader.commands == sum(len(re.findall(r"^\$ ", block.text, re.MULTILINE)) for block in found) >= 15


def test_a_line_that_differs_is_found() -> None:
    pattern = pattern_of(["12:00:01 200   1.3 ms  9 B GET  /orders/17", "...", "ready"])
    assert re.search(pattern, "20:00:00 200 700 us 12 B GET /orders/4\nanother\nready\n")
    assert not re.search(pattern, "20:00:00 200 700 us 12 B GET /order/4\nready\n")
