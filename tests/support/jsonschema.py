"""The part of JSON Schema that our own schema uses; a keyword that it does not know is an error."""

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list,), "string": (str,), "integer": (int,), "number": (int, float),
}  # fmt: skip

Schema = dict[str, Any]


def complaints(value: Any, schema: Schema) -> Iterator[str]:
    """Say everything that is wrong with a value."""
    for keyword, wanted in schema.items():
        if keyword in _VALUES:
            if not _VALUES[keyword](value, wanted):
                yield f"{value!r} is not as {keyword} = {wanted!r} wants it"
        elif keyword not in _WORDS:
            yield from _BELOW[keyword](value, wanted, schema)


def _items(value: Any, wanted: Schema, _schema: Schema) -> Iterator[str]:
    for item in value:
        yield from complaints(item, wanted)


def _required(value: Any, wanted: list[str], _schema: Schema) -> Iterator[str]:
    yield from (f"{name} is missing" for name in wanted if name not in value)


def _properties(value: Any, wanted: Schema, _schema: Schema) -> Iterator[str]:
    for name in wanted.keys() & value.keys():
        yield from (f"{name}: {complaint}" for complaint in complaints(value[name], wanted[name]))


def _pattern_properties(value: Any, wanted: Schema, _schema: Schema) -> Iterator[str]:
    for name in value:
        for pattern, below in wanted.items():
            if re.search(pattern, name):
                yield from (f"{name}: {complaint}" for complaint in complaints(value[name], below))


def _additional_properties(value: Any, wanted: Any, schema: Schema) -> Iterator[str]:
    assert wanted is False
    for name in value.keys() - schema.get("properties", {}).keys():
        if not any(re.search(pattern, name) for pattern in schema.get("patternProperties", {})):
            yield f"{name} is not expected"


_WORDS: Final = frozenset({"$schema", "$id", "title"})
_VALUES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "type": lambda value, wanted: isinstance(value, _TYPES[wanted]) and not isinstance(value, bool),
    "enum": lambda value, wanted: value in wanted,
    # In a schema "$" is the end of the text alone; in Python a line end may follow.
    "pattern": lambda value, wanted: re.search(re.sub(r"\$$", r"\\Z", wanted), value) is not None,
    "minLength": lambda value, wanted: len(value) >= wanted,
    "minimum": lambda value, wanted: value >= wanted,
    "maximum": lambda value, wanted: value <= wanted,
    "minItems": lambda value, wanted: len(value) >= wanted,
    "maxItems": lambda value, wanted: len(value) <= wanted,
}
_BELOW: Final[dict[str, Callable[[Any, Any, Schema], Iterator[str]]]] = {
    "items": _items,
    "required": _required,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
}
