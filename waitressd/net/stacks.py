"""Where threads are: their stacks, taken from outside and at any time.

Frames are walked here, and of each only its code and its line are kept: no local variable of the application is touched
or kept alive, and no source file is read before a stack becomes a traceback. So a look at a thread costs microseconds
and waits for nothing, neither a lock nor a disk. Any thread.
"""

import functools
import os
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from types import CodeType, FrameType
from typing import Final, NamedTuple

MOST_FRAMES: Final = 200  # of one stack; of a deeper recursion the middle is left out
OUTERMOST_FRAMES: Final = 40  # of those

_LIBRARY: Final = os.path.dirname(threading.__file__) + os.sep  # noqa: PTH120 - compared as text with names of files
_PACKAGE: Final = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - the same
_INSTALLED: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def _why_not() -> str:
    if not hasattr(sys, "_current_frames"):
        return "this interpreter does not show the stacks of other threads"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        # A frame that its thread is leaving at this moment may be read after it was freed (gh-152355).
        return "without the GIL, a look at the stack of another thread may crash the interpreter"
    return ""


REFUSAL: Final = _why_not()
"""Why this interpreter shows no stacks of other threads; "" where it does."""


class Frame(NamedTuple):
    """One step of a stack, as it is shown."""

    file: str
    """As in a traceback, but relative to the folder on `sys.path` that it was found in."""
    line: int
    function: str
    """The name with its class, "Router.__call__"."""
    own: bool
    """Whether it is the application's: a file outside of the standard library, site-packages and this package."""

    def __str__(self) -> str:
        """Write it as `place` is written: "shop/reports.py:214 totals"."""
        return f"{self.file}:{self.line} {self.function}"


class Stack:
    """Where a thread was at one moment. Nothing in it changes."""

    __slots__ = ("_steps", "missing")

    def __init__(self, steps: tuple[tuple[CodeType, int], ...], missing: str = "(the thread has ended)") -> None:
        self._steps = steps  # the outermost first
        self.missing = missing
        """What to say where there are no frames."""

    def __bool__(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._steps)

    def passes(self, code: CodeType) -> bool:
        """Whether the thread was inside of this function."""
        return any(step[0] is code for step in self._steps)

    @property
    def steps(self) -> tuple[tuple[CodeType, int], ...]:
        """The code and the line of each frame, as they were taken, the innermost call last."""
        return self._steps

    @property
    def frames(self) -> list[Frame]:
        """The frames as they are shown, the innermost call last."""
        return [_frame(*step) for step in self._steps]

    @property
    def place(self) -> str:
        """Where the thread is, in short: "shop/reports.py:214 totals"; "" without frames.

        The innermost frame of the application. An application that is installed has none that can be told from those
        of its libraries: then it is the innermost one outside of the standard library and of this package.
        """
        if not self._steps:
            return ""
        # The least of the kinds; of those the first, which is the innermost.
        return str(_frame(*min(reversed(self._steps), key=lambda step: _origin(step[0].co_filename)[1])))

    def locations(self) -> Iterator[tuple[str, int]]:
        """Yield the file of each frame, as the interpreter found it, and the line."""
        for code, line in self._steps:
            yield code.co_filename, line

    def __str__(self) -> str:
        """Return the stack as tracebacks show it, the innermost call last. Reads files."""
        if not self._steps:
            return self.missing
        frames = [
            traceback.FrameSummary(code.co_filename, line, code.co_name, lookup_line=False)
            for code, line in self._steps
        ]
        return "".join(traceback.format_list(frames)).rstrip()


NOWHERE: Final = Stack(())
REFUSED: Final = Stack((), REFUSAL)


def walk(frame: FrameType | None) -> Stack:
    """Return the stack that ends with a frame."""
    steps: list[tuple[CodeType, int]] = []
    while frame is not None:
        steps.append((frame.f_code, frame.f_lineno or 0))
        frame = frame.f_back
    steps.reverse()
    if len(steps) > MOST_FRAMES:
        del steps[OUTERMOST_FRAMES : OUTERMOST_FRAMES - MOST_FRAMES]
    return Stack(tuple(steps))


def known_threads() -> list[int]:
    """Return the identifiers of all threads that run Python code, those too that Python did not start."""
    return [] if REFUSAL else list(sys._current_frames())  # noqa: SLF001 - as below; nothing keeps the frames


def take(thread_ids: Collection[int] | None = None) -> dict[int, Stack]:
    """Return the stacks of these threads, or of all; those that have ended are missing, and all where REFUSAL says."""
    if REFUSAL:
        return {}
    frames = sys._current_frames()  # noqa: SLF001 - the documented way to see another thread's stack
    me = threading.get_ident()
    # With the frame of this function in one of its own variables, they would keep each other, and the variables of
    # every other thread, until the next collection.
    del frames[me]
    wanted = [*frames, me] if thread_ids is None else thread_ids
    found = {thread_id: walk(frames[thread_id]) for thread_id in wanted if thread_id in frames}
    if me in wanted:
        found[me] = walk(sys._getframe(1))  # noqa: SLF001 - the caller, whose own stack it is
    return found


def take_one(thread_id: int) -> Stack:
    """Return the stack of a thread; one without frames, that says why, where there is none."""
    return take((thread_id,)).get(thread_id, REFUSED if REFUSAL else NOWHERE)


def frame(file: str, line: int, function: str) -> Frame:
    """Return a frame of which no more is there than its text, as a traceback has it."""
    short, kind = _origin(file)
    return Frame(short, line, function, kind == 0)


def foremost(written: Sequence[tuple[str, int, str]]) -> Frame:
    """Return where a thread is of which there are such texts, at least one, as `Stack.place` chooses it."""
    return frame(*min(reversed(written), key=lambda step: _origin(step[0])[1]))


def _frame(code: CodeType, line: int) -> Frame:
    return frame(code.co_filename, line, _qualified(code))


def _qualified(code: CodeType) -> str:
    """The name of a function with its class, but without the functions around it."""
    return str(getattr(code, "co_qualname", code.co_name)).rpartition("<locals>.")[2]


@functools.lru_cache(maxsize=4096)
def _origin(file: str) -> tuple[str, int]:
    """Return how a file is shown, and what it is: 0 the application's, 1 a library that is installed, 2 neither."""
    short = min((file.removeprefix(folder) for folder in _search_path()), key=len, default=file)
    if file.startswith((_PACKAGE, "<")):
        return short, 2
    if any(part in file for part in _INSTALLED):
        return short, 1
    return short, 2 if file.startswith(_LIBRARY) else 0


def _search_path() -> Iterator[str]:
    for folder in list(sys.path):
        try:
            yield os.path.join(os.path.abspath(folder), "")  # noqa: PTH100, PTH118 - compared as text
        except (OSError, TypeError, ValueError):  # the current folder is gone, or what is there is no name of a folder
            continue
