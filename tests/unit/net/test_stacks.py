"""Where threads are."""

import gc
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import CodeType, FrameType

import pytest

from waitressd.net import stacks
from waitressd.net.stacks import MOST_FRAMES, Stack, take, take_one, walk

PREFIX = Path(__file__).parent.parent.parent.parent.name  # the root of the tree, if it is not on sys.path itself


class Waiting:
    """A thread that waits in `hold`, until the test lets it go."""

    def __init__(self, call: Callable[[Callable[[], None]], None] | None = None) -> None:
        self.entered, self.left = threading.Event(), threading.Event()
        target = self.hold if call is None else lambda: call(self.hold)
        self.thread = threading.Thread(target=target, daemon=True)

    def hold(self) -> None:
        self.entered.set()
        self.left.wait(20)

    def __enter__(self) -> "Waiting":
        self.thread.start()
        assert self.entered.wait(20)
        return self

    def __exit__(self, *_error: object) -> None:
        self.left.set()
        self.thread.join(20)

    @property
    def ident(self) -> int:
        assert self.thread.ident is not None
        return self.thread.ident


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    with Waiting() as waiting:
        yield waiting


def make(*steps: tuple[str, str, int]) -> Stack:
    """A stack of functions in files that need not exist: (file, function, line)."""
    return Stack(tuple((code_in(file, name), line) for file, name, line in steps))


def code_in(file: str, name: str) -> CodeType:
    scope: dict[str, Callable[[], object]] = {}
    exec(compile(f"def {name}(): pass", file, "exec"), scope)
    return scope[name].__code__


def test_the_place_of_a_thread_that_waits_is_the_line_of_the_application(waiting: Waiting) -> None:
    stack = take_one(waiting.ident)
    line = Waiting.hold.__code__.co_firstlineno + 2
    assert stack.place.endswith(f"test_stacks.py:{line} Waiting.hold")
    *_, own, library, _ = stack.frames
    assert (own.function, own.own, library.function, library.own) == ("Waiting.hold", True, "Event.wait", False)
    assert own.file.endswith("test_stacks.py")
    assert library.file == "threading.py"


def test_the_innermost_call_is_the_last_frame() -> None:
    def inner() -> Stack:
        return walk(sys._getframe())

    def outer() -> Stack:
        return inner()

    assert [frame.function for frame in outer().frames[-3:]] == [
        "test_the_innermost_call_is_the_last_frame", "outer", "inner",
    ]  # fmt: skip


def test_all_threads_or_some_of_them(waiting: Waiting) -> None:
    assert {waiting.ident, threading.get_ident()} <= take().keys()
    assert take((waiting.ident, 1)).keys() == {waiting.ident}
    own = take((threading.get_ident(),))[threading.get_ident()]
    assert own.frames[-1].function == "test_all_threads_or_some_of_them"


def test_a_thread_that_has_ended_has_no_stack() -> None:
    with Waiting() as waiting:
        pass
    stack = take_one(waiting.ident)
    assert not stack
    assert (stack.frames, stack.place, str(stack)) == ([], "", "(the thread has ended)")


def test_an_interpreter_without_stacks_says_why(monkeypatch: pytest.MonkeyPatch, waiting: Waiting) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    reason = stacks._why_not()
    assert "without the GIL" in reason
    monkeypatch.setattr(stacks, "REFUSAL", reason)
    monkeypatch.setattr(stacks, "REFUSED", Stack((), reason))
    assert take() == {}
    assert str(take_one(waiting.ident)) == reason
    monkeypatch.delattr(sys, "_current_frames")
    assert "does not show" in stacks._why_not()


def test_nothing_of_the_application_is_kept_alive() -> None:
    class Treasure:
        pass

    kept: list[weakref.ref[Treasure]] = []

    def work(hold: Callable[[], None]) -> None:
        treasure = Treasure()
        kept.append(weakref.ref(treasure))
        hold()

    gc.disable()  # a cycle would keep it until the next collection
    try:
        with Waiting(work) as waiting:
            found = take()
            single = take_one(waiting.ident)
        assert found[waiting.ident]
        assert single
        assert kept[0]() is None
    finally:
        gc.enable()


def test_a_stack_becomes_a_traceback_late() -> None:
    text = str(walk(sys._getframe()))
    assert text.splitlines()[-1].strip() == "text = str(walk(sys._getframe()))"
    assert "in test_a_stack_becomes_a_traceback_late" in text


def test_files_are_told_apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", ["/srv/shop", "/srv/shop/lib/site-packages", "", *sys.path])
    monkeypatch.chdir(tmp_path)
    installed = "/srv/shop/lib/site-packages/pyramid/router.py"
    library, package = threading.__file__, walk.__code__.co_filename
    stacks._origin.cache_clear()
    stack = make(
        ("/srv/shop/shop/views.py", "view", 3), (installed, "call", 4), (str(tmp_path / "here.py"), "here", 5),
        (library, "wait", 6), (package, "walk", 7), ("<string>", "made", 8), ("/elsewhere/a.py", "far", 9),
    )  # fmt: skip
    assert [(frame.file, frame.own) for frame in stack.frames] == [
        ("shop/views.py", True), ("pyramid/router.py", False), ("here.py", True), ("threading.py", False),
        ("waitressd/net/stacks.py" if "waitressd/net" in stack.frames[4].file else package, False),
        ("<string>", False), ("/elsewhere/a.py", True),
    ]  # fmt: skip
    assert stack.place == "/elsewhere/a.py:9 far"
    assert list(stack.locations())[1] == (installed, 4)
    stacks._origin.cache_clear()


@pytest.mark.parametrize(
    ("files", "place"),
    [
        (["/x/own.py", "/x/site-packages/lib.py", threading.__file__], "/x/own.py:1 f"),
        # An application that is installed has no frame of its own that could be told from its libraries'.
        (["/x/site-packages/app.py", threading.__file__, "<frozen x>"], "/x/site-packages/app.py:1 f"),
        ([os.__file__, threading.__file__], "threading.py:1 f"),
        ([], ""),
    ],
)
def test_the_place_is_the_innermost_frame_that_says_most(files: list[str], place: str) -> None:
    assert make(*((file, "f", 1) for file in files)).place == place


def test_of_a_deep_recursion_the_middle_is_left_out() -> None:
    def descend(depth: int) -> Stack:
        return descend(depth - 1) if depth else walk(sys._getframe())

    frames = descend(MOST_FRAMES).frames
    assert len(frames) == MOST_FRAMES
    assert frames[-1].line == descend.__code__.co_firstlineno + 1
    whole = walk(sys._getframe()).frames
    assert frames[: min(20, len(whole))] == whole[: min(20, len(whole))]


def test_what_a_thread_passes_is_known(waiting: Waiting) -> None:
    stack = take_one(waiting.ident)
    assert stack.passes(Waiting.hold.__code__)
    assert not stack.passes(walk.__code__)


def test_a_name_with_its_class_and_without_the_functions_around() -> None:
    class Nested:
        def method(self) -> FrameType:
            return sys._getframe()

    assert walk(Nested().method()).frames[-1].function == "Nested.method"
