"""Collapsed stacks, read: where the time went, as a table.

A line is ``ROUTE;module:function:line;... WEIGHT``, the innermost frame last, and the weight in microseconds: readers
of that form expect whole numbers. One that weighs nothing says how many samples there were.
"""

import math
import re
from collections.abc import Iterator
from typing import Final

from waitressd.tools.failures import NoAnswerError
from waitressd.tools.tables import Column, Line, Part, Row, Table
from waitressd.tools.texts import percent, short_time

_SHOWN: Final = 20
_LINE: Final = re.compile(r":\d+$")
_COLUMNS: Final = (
    Column("Of all", right=True),
    Column("Time", right=True),
    Column("Itself", right=True, rank=1),
    Column("Function", least=20),
)


def stacks(data: bytes) -> Iterator[tuple[list[str], float]]:
    """Yield each stack and its weight in seconds. Raises ValueError for a line that is none."""
    for line in data.decode("utf-8", "replace").split("\n"):
        if line.strip():
            frames, _, weight = line.rstrip().rpartition(" ")
            seconds = float(weight) / 1e6
            if not frames or not math.isfinite(seconds) or seconds < 0:
                raise ValueError
            yield frames.split(";"), seconds


def check_collapsed(data: bytes, address: str) -> None:
    """Make sure that an answer is a profile. Raises NoAnswerError."""
    try:
        for _ in stacks(data):
            pass
    except ValueError:
        raise NoAnswerError(f"{address}: the answer is no profile; is this its admin_listen?") from None


def summary(data: bytes) -> list[Part]:
    """Show the functions with most of the weight, those that they call included. The lines must have been checked."""
    whole = 0.0
    inclusive: dict[str, float] = {}
    own: dict[str, float] = {}
    remarks: list[Part] = []
    for frames, seconds in stacks(data):
        if not seconds:
            remarks.append(Line(";".join(frames), "dim"))
            continue
        whole += seconds
        functions = [_LINE.sub("", frame) for frame in frames]
        for function in dict.fromkeys(functions[1:]):
            inclusive[function] = inclusive.get(function, 0.0) + seconds
        own[functions[-1]] = own.get(functions[-1], 0.0) + seconds
    if not whole:
        return [Line("no thread had a request meanwhile"), *remarks]
    rows = sorted(inclusive.items(), key=lambda item: -item[1])[:_SHOWN]
    table = Table(
        _COLUMNS,
        [
            Row((percent(seconds / whole), short_time(seconds), percent(own.get(function, 0.0) / whole), function))
            for function, seconds in rows
        ],
    )
    title = f"{short_time(whole)} of thread time; a function's time includes those that it calls"
    return [Line(title, "head"), table, *remarks]
