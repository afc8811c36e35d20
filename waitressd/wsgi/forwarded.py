"""The field Forwarded, by its grammar (RFC 7239, section 4).

Knows where elements, pairs and values begin and end; `proxies.py` decides what they mean. The scan looks at every
character once.
"""

import re
from typing import Final

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"  # noqa: S105  # a token of RFC 9110 and no password
_PAIR: Final = re.compile(
    rf"({_TOKEN})=(?:({_TOKEN})|\"((?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*+)\")"
)
_WHITE_SPACE: Final = re.compile(r"[ \t]*+")
_ESCAPED: Final = re.compile(r"\\(.)")
_BARE: Final = re.compile(_TOKEN).fullmatch

Element = dict[str, str]
"""The parameters of one hop: lower-case name to value, quotes and escapes undone."""


def parse_forwarded(value: str) -> list[Element]:
    """Return the elements from left (the client's side) to right; empty ones are left out.

    White space is allowed around ';' and ',' only: the grammar has it around ',', and proxies write it after ';'.

    Raises ValueError: the text does not follow the grammar, or an element says something twice.
    """
    elements: list[Element] = []
    element: Element = {}
    position = _skip(value, 0)
    while position < len(value):
        if value[position] not in ";,":
            pair = _PAIR.match(value, position)
            if pair is None:
                raise ValueError("not a list of name=value pairs")
            name = pair[1].lower()
            if name in element:
                raise ValueError("a parameter that occurs twice in one element")
            element[name] = pair[2] if pair[2] is not None else _ESCAPED.sub(r"\1", pair[3])
            position = _skip(value, pair.end())
            if position == len(value):
                break
            if value[position] not in ";,":
                raise ValueError("something else than ';' or ',' after a pair")
        if value[position] == "," and element:
            elements.append(element)
            element = {}
        position = _skip(value, position + 1)
    if element:
        elements.append(element)
    return elements


def format_forwarded(elements: list[Element]) -> str:
    """Return the field value that says what `elements` say."""
    return ", ".join(";".join(f"{name}={_quote(value)}" for name, value in element.items()) for element in elements)


def _skip(value: str, position: int) -> int:
    match = _WHITE_SPACE.match(value, position)
    assert match is not None  # the pattern matches the empty text, too
    return match.end()


def _quote(value: str) -> str:
    if _BARE(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
