"""From names to hooks."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.support.records import Records
from tests.support.samples import answered
from waitressd.metrics import ShownMetrics
from waitressd.requestlog import OptionError, RequestRecord
from waitressd.requestlog.dev import DevLog
from waitressd.requestlog.formats import LineLog
from waitressd.requestlog.loading import load
from waitressd.wiring import BUILT_IN


@dataclass
class Wanted:
    use: str | Callable[[Any], object]
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = "access"


def hook(_record: RequestRecord) -> None:
    """Do nothing."""


class Factories:
    """What a module of somebody else's may have."""

    @staticmethod
    def make(global_conf: dict[str, str], **options: str) -> Callable[[RequestRecord], None]:
        """Make a hook that remembers how it was made."""

        def made(_record: RequestRecord) -> None:
            """Do nothing."""

        made.__dict__["made_of"] = (global_conf, options)
        return made

    @staticmethod
    def keep(_global_conf: dict[str, str]) -> Records:
        """Make a hook that takes no option, and keeps its records."""
        return Records()

    @staticmethod
    def refuse(_global_conf: dict[str, str], **_options: str) -> None:
        """Refuse the options."""
        raise OptionError(("a", "wrong"), ("b", "wrong too"))

    @staticmethod
    def fail(_global_conf: dict[str, str], path: str) -> None:
        """Fail in a way of its own."""
        raise RuntimeError(f"no {path}")

    @staticmethod
    def nothing(_global_conf: dict[str, str]) -> str:
        """Make something that is no hook."""
        return "text"

    value = 7


@pytest.fixture(autouse=True)
def module(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = ModuleType("planted_logs")
    planted.Factories = Factories  # type: ignore[attr-defined] # a module made by hand
    monkeypatch.setitem(sys.modules, "planted_logs", planted)


def build(use: str, **options: str) -> Any:
    hooks, troubles = load([Wanted(use, options)], {"here": "/etc"}, BUILT_IN)
    assert troubles == []
    (found,) = hooks
    assert found.name == "access"
    return found.hook


def complaints(use: str, **options: str) -> list[tuple[str, str]]:
    hooks, troubles = load([Wanted(use, options)], {}, BUILT_IN)
    assert hooks == []
    return [(trouble.option, trouble.text) for trouble in troubles]


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("form", ["{}", "egg:waitressd#{}", "egg:Waitressd#{}"])
def test_built_in_logs(name: str, form: str) -> None:
    options = {"format": "{client}"} if name == "template" else {}
    kind = {"dev": DevLog, "metrics": ShownMetrics}.get(name, LineLog)
    assert isinstance(build(form.format(name), **options), kind)


@pytest.mark.parametrize("use", ["call:planted_logs:Factories.make", "planted_logs:Factories.make"])
def test_a_reference_to_a_factory(use: str) -> None:
    assert build(use, path="a").made_of == ({"here": "/etc"}, {"path": "a"})


def test_a_hook_itself() -> None:
    hooks, troubles = load([Wanted(hook)], {}, {})
    assert [(found.name, found.hook) for found in hooks] == [("access", hook)]
    assert troubles == []


def test_a_queue_in_front_of_any_hook() -> None:
    (found,), _ = load([Wanted("planted_logs:Factories.keep", {"queue": "10"})], {}, {})
    found.start(None)
    found.take(answered())
    found.close()
    assert isinstance(found.hook, Records)
    assert found.hook.threads == ["request-log-access"]


@pytest.mark.parametrize("text", ["0", "many", "1000001", "-1", "\N{SUPERSCRIPT TWO}"])
def test_a_wrong_queue(text: str) -> None:
    assert complaints("planted_logs:Factories.make", queue=text) == [
        ("queue", "expected how many records may wait, 1 to 1000000")
    ]


@pytest.mark.parametrize(
    ("use", "complaint"),
    [
        ("combnied", "combnied is no built-in request log; did you mean combined?"),
        ("xyzzy", "xyzzy is no built-in request log; expected one of common,"),
        ("egg:no-such-dist", "there is no distribution no-such-dist installed here"),
        ("egg:", "there is no distribution (no name) installed here"),
        ("egg:pytest#x", "pytest has no entry point x in the group waitressd.request_log_factory; it has none"),
        ("no_such_module:x", "cannot import no_such_module: No module named 'no_such_module'"),
        ("planted_logs:nothing", "planted_logs has no nothing"),
        ("call:planted_logs:Factories.value", "planted_logs:Factories.value cannot be called"),
        ("planted_logs:Factories.nothing", "planted_logs:Factories.nothing made 'text', which cannot be called"),
    ],
)
def test_a_reference_that_leads_nowhere(use: str, complaint: str) -> None:
    ((option, text),) = complaints(use)
    assert option == "use"
    assert text.startswith(complaint)


def test_what_a_factory_raises() -> None:
    assert complaints("planted_logs:Factories.refuse") == [("a", "wrong"), ("b", "wrong too")]
    assert complaints("planted_logs:Factories.fail", path="x") == [("", "the factory failed: RuntimeError: no x")]
    ((_, text),) = complaints("planted_logs:Factories.fail", paht="x")
    assert "unexpected keyword argument 'paht'" in text


def test_every_trouble_of_every_log_at_once() -> None:
    wanted = [Wanted("xyzzy", name="a"), Wanted("planted_logs:Factories.refuse", name="b"), Wanted(hook, name="c")]
    hooks, troubles = load(wanted, {}, BUILT_IN)
    assert [found.name for found in hooks] == ["c"]
    assert [(trouble.choice.name, trouble.option) for trouble in troubles] == [("a", "use"), ("b", "a"), ("b", "b")]


def test_entry_points_of_another_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "shop_ledger-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-ledger\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[waitressd.request_log_factory]\nmain = planted_logs:Factories.make\nother = planted_logs:Factories.make [x]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert build("egg:shop-ledger").made_of[1] == {}
    assert build("egg:shop_ledger#other", a="b").made_of[1] == {"a": "b"}
    ((_, text),) = complaints("egg:shop-ledger#third")
    assert text.endswith("it has main, other")
