"""Work that pauses now and then, so that whoever shows numbers keeps nobody waiting for the interpreter."""

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""It pauses at each step, and has a result."""


def finish(steps: Steps[T]) -> T:
    """Do all of it, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
