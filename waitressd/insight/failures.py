"""What an exception was, as one line of text: nothing of it is kept alive, neither its frames nor what they held.

An exception says by code of the application what it is, so it is asked in the thread of its request.
"""

from types import CodeType, TracebackType
from typing import Final

from waitressd.insight.documents import without_user_info
from waitressd.net.stacks import Stack

TEXT_CHARACTERS: Final = 200  # of what an exception says


def describe_failure(error: BaseException) -> str:
    """Say what an exception is, what it says and where it comes from: "KeyError: 'sku' (shop/views.py:341 add)".

    Task thread. Never raises.
    """
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        said = one_line(without_user_info(str(error)[: 4 * TEXT_CHARACTERS]))
    except Exception:  # border: the application's own class
        said = "(it cannot say what it is)"
    place = _stack(error.__traceback__).place
    return name + (f": {said}" if said else "") + (f" ({place})" if place else "")


def one_line(text: str) -> str:
    """Make what somebody has said one visible line: others show it in logs and terminals."""
    line = " ".join(text[: 4 * TEXT_CHARACTERS].split())
    if len(line) > TEXT_CHARACTERS:
        line = line[: TEXT_CHARACTERS - 3] + "..."
    return "".join(char if char.isprintable() else char.encode("unicode-escape").decode() for char in line)


def _stack(traceback: TracebackType | None) -> Stack:
    steps: list[tuple[CodeType, int]] = []
    while traceback is not None:
        steps.append((traceback.tb_frame.f_code, traceback.tb_lineno or 0))
        traceback = traceback.tb_next
    return Stack(tuple(steps))
