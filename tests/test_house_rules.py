"""The house rules hold for the whole tree, and each rule finds a violation that is planted for it."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from tests.support import houserules as rules
from tests.support.houserules import FOR_ALL, FOR_PACKAGE, Check, Source

ROOT: Final = Path(__file__).parent.parent

NOT_STATES: Final[frozenset[str]] = frozenset({
    "waitressd.http.framing.Framing",  # how the end of a body is known
    "waitressd.http.response.FieldPolicy",  # what a field means to the server
    "waitressd.dispatch.role.Assignment",  # what one step of the role protocol answers
    "waitressd.fleet.board.Field",  # where a number is in a row
})  # fmt: skip
"""IntEnums that are values and no state machines, each with its reason in the comment on its line."""

TESTS_ELSEWHERE: Final[dict[str, str]] = {
    "waitressd/__init__.py": "tests/unit/test_package.py",
    "waitressd/__main__.py": "tests/test_servers.py",  # `python -m waitressd` is how each of its processes starts
    "waitressd/fleet/__main__.py": "tests/unit/fleet/test_lead.py",  # it is what a process becomes that leads
}
"""Modules whose own tests have another name."""


def read(folder: str) -> list[Source]:
    """Read every Python file below a folder of the tree."""
    return [
        Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted((ROOT / folder).rglob("*.py"))
        if ".env" not in path.relative_to(ROOT).parts
    ]


PACKAGE: Final = read("waitressd")
EVERYTHING: Final = [*PACKAGE, *read("tests"), *read("benchmarks"), *read("docs")]


def complaints(check: Check, sources: list[Source]) -> list[str]:
    return [complaint for source in sources for complaint in check(source)]


@pytest.mark.parametrize("check", FOR_PACKAGE, ids=lambda check: check.__name__)
def test_the_package_keeps(check: Check) -> None:
    assert complaints(check, PACKAGE) == []


@pytest.mark.parametrize("check", FOR_ALL, ids=lambda check: check.__name__)
def test_the_whole_tree_keeps(check: Check) -> None:
    assert complaints(check, EVERYTHING) == []


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


@pytest.mark.parametrize("source", PACKAGE, ids=lambda source: source.path)
def test_every_state_is_in_a_table(source: Source) -> None:
    if source.path.endswith("__main__.py"):
        return  # importing it runs the command
    module = importlib.import_module(module_name(source.path))
    assert list(rules.check_states(module, NOT_STATES)) == []


def test_every_module_has_tests_of_its_own() -> None:
    tests = frozenset(source.path for source in EVERYTHING if source.path.startswith("tests/"))
    modules = [path for path in (source.path for source in PACKAGE) if not path.endswith("/__init__.py")]
    modules.append("waitressd/__init__.py")
    found = [complaint for path in modules for complaint in rules.check_has_tests(path, tests, TESTS_ELSEWHERE)]
    assert found == []


def test_no_two_modules_need_each_other() -> None:
    assert list(rules.check_circles(PACKAGE)) == []


def test_a_circle_for_the_type_checker_alone_is_found() -> None:
    one = Source("waitressd/net/one.py", "if TYPE_CHECKING:\n    from waitressd.net.two import Two")
    two = Source("waitressd/net/two.py", "from waitressd.net import one\nfrom waitressd.net.three import Three")
    assert [text.partition(" ")[0] for text in rules.check_circles([one, two])] == [
        "waitressd.net.one",
        "waitressd.net.two",
    ]
    assert list(rules.check_circles([one])) == []


def test_nothing_waits_in_what_is_not_python() -> None:
    paths = [path for pattern in ("*.rst", "*.toml", "configs/*.ini", "docs/*.rst") for path in ROOT.glob(pattern)]
    sources = [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in paths]
    assert complaints(rules.check_nothing_waits, sources) == []


# What each rule must find, and what it must let pass: (rule, path, text, complaint or None)
LATER_WORD: Final = "TO" + "DO"
BOOLEANS: Final = "class Machine:\n    def __init__(self):\n        self._closed = self.broken = False"
PLANTED: Final = [
    (rules.check_layers, "net/channel.py", "import waitressd.wsgi.task", "net must not import waitressd.wsgi"),
    (rules.check_layers, "net/channel.py", "from waitressd.wsgi import task", "net must not import waitressd.wsgi"),
    (rules.check_layers, "net/channel.py", "from waitressd import wsgi", "net must not import waitressd.wsgi"),
    (rules.check_layers, "net/channel.py", "from waitressd import serve", "net must not import waitressd"),
    (rules.check_layers, "net/channel.py", "def f():\n    import waitressd.server", ":2: net must not import"),
    (rules.check_layers, "wsgi/task.py", "from waitressd.net.channel import Channel", "wsgi must not import"),
    (rules.check_layers, "config/settings.py", "from waitressd.net import poller", "config must not import"),
    (rules.check_layers, "requestlog.py", "from waitressd.wsgi import environ", "requestlog must not import"),
    (rules.check_layers, "http/head.py", "import waitressd.config.settings", "http must not import"),
    (rules.check_layers, "server.py", "import waitressd.deploy", "server must not import waitressd.deploy"),
    (rules.check_layers, "deploy.py", "import waitressd.cli", "deploy must not import waitressd.cli"),
    (rules.check_layers, "net/ledger.py", "import waitressd.insight.answers", "net must not import waitressd.insight"),
    (rules.check_layers, "insight/health.py", "import waitressd.server", "insight must not import waitressd.server"),
    (rules.check_layers, "tools/client.py", "import waitressd.net.poller", "tools must not import waitressd.net"),
    (rules.check_layers, "routes/flask.py", "import waitressd.http", "routes must not import waitressd.http"),
    (rules.check_layers, "surprise.py", "", "the layer 'surprise' is not in MAY_IMPORT"),
    (rules.check_layers, "net/channel.py", "from waitressd.http.connection import Connection", None),
    (rules.check_layers, "server.py", "from waitressd.dispatch.dispatcher import Dispatcher", None),
    (rules.check_layers, "cli.py", "from waitressd import __version__", None),
    (rules.check_outside_imports, "http/head.py", "import socket", "http must not import socket"),
    (rules.check_outside_imports, "http/head.py", "import os.path", "http must not import os.path"),
    (rules.check_outside_imports, "http/head.py", "from time import monotonic", "http must not import time"),
    (rules.check_outside_imports, "http/head.py", "import logging", "http must not import logging"),
    (rules.check_outside_imports, "http/head.py", "import http.client", "http must not import http.client"),
    (rules.check_outside_imports, "http/head.py", "import re\nfrom http import HTTPStatus", None),
    (rules.check_outside_imports, "wsgi/task.py", "import selectors", "wsgi must not import selectors"),
    (rules.check_outside_imports, "wsgi/task.py", "import time", None),
    (rules.check_outside_imports, "config/settings.py", "import threading", "config must not import threading"),
    (rules.check_config_opens_nothing, "config/kinds.py", "socket.getaddrinfo('a', 1)", "not call socket.getaddrinfo"),
    (rules.check_config_opens_nothing, "config/kinds.py", "Path('a').open()", "must not call Path('a').open"),
    (rules.check_config_opens_nothing, "config/kinds.py", "isinstance(a, socket.socket)", None),
    (rules.check_outside_imports, "server.py", "import ssl", "ssl is for waitressd/certificates.py "),
    (rules.check_outside_imports, "net/tls.py", "import ssl", None),
    (rules.check_outside_imports, "server.py", "import plaster", "plaster is not in the standard library"),
    (rules.check_outside_imports, "net/poller.py", "from paste import deploy", "paste is not in the standard library"),
    (rules.check_outside_imports, "deploy.py", "import requests", "requests is not one of our dependencies"),
    (rules.check_outside_imports, "deploy.py", "from paste.deploy import loadapp", None),
    (rules.check_outside_imports, "tools/top.py", "import textual", None),
    (rules.check_outside_imports, "routes/pyramid.py", "from pyramid import tweens", None),
    (rules.check_outside_imports, "insight/page.py", "import textual", "textual is not in the standard library"),
    (rules.check_print, "server.py", "print('listening')", "server.py:1: print, outside of cli.py"),
    (rules.check_print, "cli.py", "print('listening')", None),
    (rules.check_patient_threads, "net/channel.py", "logger.warning('late')", "logger.warning, and not the operator"),
    (rules.check_patient_threads, "server.py", "logging.getLogger().info('late')", "info, and not the operator"),
    (rules.check_patient_threads, "requestlog/failures.py", "log.error('late')", "log.error, and not the operator"),
    (rules.check_patient_threads, "net/logs.py", "logging.log(30, 'late')", "logging.log, and not the operator"),
    (rules.check_patient_threads, "net/channel.py", "say(logging.WARNING, 'late')", None),
    (rules.check_patient_threads, "wsgi/task.py", "log.exception('failed')", None),
    (rules.check_absolute_imports, "net/channel.py", "from . import poller", "a relative import (.)"),
    (rules.check_absolute_imports, "net/channel.py", "from ..http import head", "a relative import (..http)"),
    (rules.check_file_length, "server.py", "\n" * 501, "501 lines, more than 500"),
    (rules.check_file_length, "server.py", "\n" * 500, None),
    (rules.check_function_length, "server.py", "def f():\n" + "    g()\n" * 50, "f has 51 lines, more than 50"),
    (rules.check_function_length, "server.py", "def f():\n" + "    g()\n" * 49, None),
    (rules.check_parameters, "server.py", "def f(a, b, c, d, /, e, *, g): ...", "f takes 6 parameters, more than 5"),
    (rules.check_parameters, "server.py", "class A:\n    def f(self, a, b, c, d, *, e): ...", None),
    (rules.check_borders, "server.py", "try: f()\nexcept Exception: pass", "a broad except without"),
    (rules.check_borders, "server.py", "try: f()\nexcept: pass", "a broad except without"),
    (rules.check_borders, "server.py", "try: f()\nexcept (OSError, BaseException): pass", "a broad except without"),
    (rules.check_borders, "server.py", "try: f()\nexcept Exception:  # border:\n    pass", "a broad except without"),
    (rules.check_borders, "server.py", "try: f()\nexcept Exception:  # border: plugin\n    pass", None),
    (rules.check_borders, "server.py", "try: f()\nexcept OSError: pass", None),
    (rules.check_nothing_waits, "server.py", f"# {LATER_WORD}: later", f"{LATER_WORD} (nothing waits for later)"),
    (rules.check_silenced, "server.py", "f()  # noqa" + ": S101", "a silenced check without its reason"),
    (rules.check_silenced, "server.py", "f()  # type" + ": ignore[misc]", "a silenced check without its reason"),
    (rules.check_silenced, "server.py", "f()  # noqa" + ": S101 - the peer decides that", None),
    (rules.check_booleans, "server.py", BOOLEANS, "Machine keeps its state in _closed, broken"),
    (rules.check_booleans, "server.py", BOOLEANS.replace("self.broken", "broken"), None),
    (rules.check_predicates, "server.py", "class A:\n def is_b(self):\n  self.c = 1", "is_b changes self.c"),
    (rules.check_predicates, "server.py", "class A:\n def _may_b(self):\n  del self.c[0]", "_may_b changes self.c[0]"),
    (rules.check_predicates, "server.py", "class A:\n def is_b(self):\n  c = self.d\n  return c", None),
    (rules.check_late_imports, "server.py", "def f():\n    import json", "json is imported inside f"),
    (rules.check_late_imports, "server.py", "def f():\n    import pwd", None),
    (rules.check_late_imports, "server.py", "X = 'waitressd.metrics:log'", "waitressd.metrics:log is named by text"),
    (rules.check_late_imports, "server.py", "X = getLogger('waitressd.queue')", None),
    (rules.check_processes, "server.py", "os.fork()", "server.py:1: os.fork, outside of"),
    (rules.check_processes, "fleet/master.py", "subprocess.run(['a'])", "subprocess.run, outside of"),
    (rules.check_processes, "fleet/processes.py", "os.fork()", None),
    (rules.check_processes, "fleet/watched.py", "signal.pidfd_send_signal(1, 9)", None),
    (rules.check_processes, "fleet/watched.py", "os.fork()", "os.fork, outside of"),
    (rules.check_locks, "server.py", "with self.role.lock:\n    self.logs.full(1)", "self.logs.full is called"),
    (rules.check_locks, "server.py", "with self._life_lock:\n    if a:\n        say(1)", "say is called under a lock"),
    (rules.check_locks, "server.py", "with self.loop.lock:\n    self.recorder.on_end()", "recorder.on_end is called"),
    (rules.check_locks, "server.py", "with self.role.lock:\n    self.queue.append(1)\nsay(1)", None),
    (rules.check_docstring, "server.py", "import os", "no module docstring"),
    (rules.check_docstring, "server.py", '"""What it knows."""', None),
    (rules.check_doubles, "server.py", "from unittest.mock import Mock", "unittest.mock (no mocks of our own code)"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "path", "text", "expected"), PLANTED)
def test_a_planted_violation_is_found(check: Check, path: str, text: str, expected: str | None) -> None:
    found = list(check(Source(f"waitressd/{path}", text)))
    if expected is None:
        assert found == []
    else:
        assert len(found) == 1
        assert expected in found[0]
        assert found[0].startswith(path)


def test_every_rule_has_a_planted_violation() -> None:
    proven = {check for check, _, _, expected in PLANTED if expected}
    assert proven == {*FOR_ALL, *FOR_PACKAGE}


@pytest.fixture
def planted_module() -> Iterator[Callable[[str], ModuleType]]:
    """Make a module out of text, as if it were part of the package."""
    name = "waitressd_planted"

    def make(text: str) -> ModuleType:
        module = sys.modules[name] = ModuleType(name)
        exec(compile("from enum import IntEnum\n" + text, name, "exec"), vars(module))
        return module

    yield make
    sys.modules.pop(name, None)


MACHINE: Final = """
class State(IntEnum):
    OPEN = 0
    SHUT = 1
class Event(IntEnum):
    END = 0
"""


def test_a_state_outside_the_table_is_found(planted_module: Callable[[str], ModuleType]) -> None:
    # OPEN equals Event.END as a number; SHUT stands in no place of the table.
    module = planted_module(MACHINE + "TRANSITIONS = {(State.OPEN, Event.END): State.OPEN}")
    assert list(rules.check_states(module, frozenset())) == ["waitressd_planted: State.SHUT is not in the table"]


def test_an_enum_without_a_table_is_found(planted_module: Callable[[str], ModuleType]) -> None:
    module = planted_module(MACHINE)
    assert list(rules.check_states(module, frozenset({"waitressd_planted.Event"}))) == [
        "waitressd_planted: State has no TRANSITIONS table"
    ]


def test_a_complete_table_passes(planted_module: Callable[[str], ModuleType]) -> None:
    module = planted_module(MACHINE + "GATE_TRANSITIONS = {(State.OPEN, Event.END): State.SHUT}")
    assert list(rules.check_states(module, frozenset())) == []


def test_a_module_without_tests_is_found() -> None:
    tests = frozenset(
        {"tests/unit/net/test_poller.py", "tests/unit/net/test_channel_deadlines.py", "tests/functional/test_cli.py"}
    )
    path = "waitressd/net/outbuf.py"
    assert list(rules.check_has_tests(path, tests, {})) == [
        f"{path}: no tests of its own (tests/unit/net/test_outbuf.py or tests/functional/test_outbuf.py)"
    ]
    for tested in ("waitressd/net/poller.py", "waitressd/net/channel.py", "waitressd/cli.py"):
        assert list(rules.check_has_tests(tested, tests, {})) == []
    assert list(rules.check_has_tests(path, tests, {path: "tests/unit/net/test_poller.py"})) == []
    assert list(rules.check_has_tests(path, tests, {path: "tests/gone.py"})) == [
        f"{path}: its tests tests/gone.py do not exist"
    ]
