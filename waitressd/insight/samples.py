"""Where the time of threads went: stacks with their weights, and as the text that viewers of profiles read.

Knows neither threads nor clocks. For one thread at a time.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import PurePath
from types import CodeType
from typing import Final

from waitressd.net.stacks import Frame, Stack

MOST_NODES: Final = 50_000  # about 15 MB
PIECE_ROWS: Final = 40  # of a text, a tenth of a millisecond

NOT_KEPT: Final = "(not kept)"
_SCHEMA: Final = "https://www.speedscope.app/file-format-schema.json"
_SEPARATORS: Final = re.compile(r"[;\s\x00-\x1f\x7f]+")

Step = tuple[CodeType, int]
"""One frame: its code and the line."""


class Samples:
    """The weights of stacks, in seconds, kept as a tree of their frames: they have most of them in common.

    Bounded: when there are MOST_NODES, what is new is added to the nearest frame that is known, as "(not kept)".
    """

    def __init__(self, most_nodes: int = MOST_NODES) -> None:
        self.count = 0
        """How many times the threads were looked at."""
        self.seconds = 0.0
        """For how long."""
        self._most_nodes = most_nodes
        self._nodes: dict[tuple[int, int | str, int], int] = {}  # (parent, code or label, line): number
        self._parents: list[int] = []
        self._what: list[str | Step] = []
        self._weights: list[float] = []

    def add(self, label: str, steps: Sequence[Step], weight: float) -> None:
        """Add a stack, the outermost frame first, below its label."""
        node = parent = -1
        path: list[str | Step] = [label, *steps]
        for what in path:
            node = self._child(parent, what)
            if node < 0:
                node = self._child(parent, NOT_KEPT, beyond=True)
                break
            parent = node
        self._weights[node] += weight

    def _child(self, parent: int, what: str | Step, *, beyond: bool = False) -> int:
        """Return the number of a node, made if there is room for it; -1 if not. Each may have a last child beyond."""
        # The code itself would be hashed and compared by all that is in it. It lives as long as the node has it.
        key = (parent, what, 0) if isinstance(what, str) else (parent, id(what[0]), what[1])
        node = self._nodes.get(key, -1)
        if node < 0 and (beyond or len(self._weights) < self._most_nodes):
            node = self._nodes[key] = len(self._weights)
            self._parents.append(parent)
            self._what.append(what)
            self._weights.append(0.0)
        return node

    def stacks(self) -> Iterator[tuple[list[str | Step], float]]:
        """Yield each stack with its weight: its label first, then its frames, the innermost call last."""
        for leaf, weight in enumerate(self._weights):
            if weight:
                node, found = leaf, list[str | Step]()
                while node >= 0:
                    found.append(self._what[node])
                    node = self._parents[node]
                yield found[::-1], weight

    def summary(self) -> str:
        """Say in words what it rests on."""
        return f"{self.count} samples in {self.seconds:.3f} s"


def as_collapsed(samples: Samples) -> Iterator[bytes]:
    """Write a line for each stack: its frames with ";" between them, a space, and its weight in microseconds.

    The last line has the number of samples, and weighs nothing: viewers take no lines of another kind.
    """
    rows = (f"{';'.join(map(_text, stack))} {weight * 1e6:.0f}\n" for stack, weight in samples.stacks())
    yield from _in_pieces(rows)
    yield f"({samples.summary()}) 0\n".encode()


def as_speedscope(samples: Samples) -> Iterator[bytes]:
    """Write the file format of speedscope: one "sampled" profile, in seconds."""
    frames = _Frames()
    stacks: list[list[int]] = []
    weights: list[float] = []
    for count, (stack, weight) in enumerate(samples.stacks(), 1):
        stacks.append([frames.number(what) for what in stack])
        weights.append(weight)
        if not count % PIECE_ROWS:
            yield b""
    yield from _write(samples.summary(), (json.dumps(_described(what)) for what in frames.known), stacks, weights)


def join_speedscope(files: Iterable[bytes]) -> Iterator[bytes]:
    """Make one file of several, as `as_speedscope` writes them: what is equal in them is added up."""
    frames: dict[str, int] = {}
    stacks: dict[tuple[int, ...], float] = {}
    names: list[str] = []
    for file in map(json.loads, files):
        numbers = [frames.setdefault(json.dumps(frame), len(frames)) for frame in file["shared"]["frames"]]
        for profile in file["profiles"]:
            names.append(profile["name"])
            for stack, weight in zip(profile["samples"], profile["weights"], strict=True):
                key = tuple(numbers[number] for number in stack)
                stacks[key] = stacks.get(key, 0.0) + weight
            yield b""
    yield from _write(" and ".join(names), iter(frames), [*map(list, stacks)], [*stacks.values()])


def _write(name: str, frames: Iterator[str], stacks: list[list[int]], weights: list[float]) -> Iterator[bytes]:
    profile = json.dumps({"type": "sampled", "name": name, "unit": "seconds", "startValue": 0})
    yield f'{{"$schema": "{_SCHEMA}", "exporter": "waitressd", "shared": {{"frames": ['.encode()
    yield from _in_pieces(_separated(frames))
    yield f']}}, "profiles": [{profile[:-1]}, "endValue": {round(sum(weights), 6)}, "samples": ['.encode()
    yield from _in_pieces(_separated(str(stack) for stack in stacks))
    yield b'], "weights": ['
    yield from _in_pieces(_separated(str(round(weight, 6)) for weight in weights))
    yield b"]}]}\n"


class _Frames:
    """The frames of a file of speedscope, each once."""

    def __init__(self) -> None:
        self.known: list[str | Step] = []
        self._numbers: dict[tuple[int | str, int], int] = {}

    def number(self, what: str | Step) -> int:
        """Return the number of a frame, a new one if it was not there before."""
        key = (what, 0) if isinstance(what, str) else (id(what[0]), what[1])
        number = self._numbers.setdefault(key, len(self.known))
        if number == len(self.known):
            self.known.append(what)
        return number


def _in_pieces(rows: Iterator[str]) -> Iterator[bytes]:
    while piece := [row for _, row in zip(range(PIECE_ROWS), rows, strict=False)]:
        yield "".join(piece).encode(errors="backslashreplace")


def _separated(rows: Iterator[str]) -> Iterator[str]:
    separator = ""
    for row in rows:
        yield separator + row
        separator = ",\n"


def _text(what: str | Step) -> str:
    if isinstance(what, str):
        return _clean(what)
    frame = _frame(what)
    return _clean(f"{_module(frame.file)}:{frame.function}:{frame.line}")


def _described(what: str | Step) -> dict[str, object]:
    if isinstance(what, str):
        return {"name": _clean(what)}
    frame = _frame(what)
    return {"name": _clean(f"{_module(frame.file)}:{frame.function}"), "file": frame.file, "line": frame.line}


def _frame(step: Step) -> Frame:
    return Stack((step,)).frames[0]


def _clean(text: str) -> str:
    """Leave away what would end a frame or a line."""
    return _SEPARATORS.sub(" ", text).strip()


@lru_cache(maxsize=4096)
def _module(file: str) -> str:
    """Name a module by its file, which is relative to where modules are looked for, or else is anywhere."""
    path = PurePath(file)
    if path.suffix not in {".py", ".pyc"}:
        return file
    if path.is_absolute():
        return path.stem
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] == "__init__" else parts)
