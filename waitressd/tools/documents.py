"""Documents of the admin address, read with care: a value that is missing or of another kind is one that nobody knows.

So a command works beside an older or a newer server, and nothing that answers in its place can make it fail.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from waitressd.tools.texts import is_number

_LARGEST: Final = 1e15
"""A number beyond it is a mistake; below it every whole number is exact."""


class NotADocumentError(ValueError):
    """The bytes are no JSON object."""


class Document:
    """A JSON object."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    @classmethod
    def parse(cls, body: bytes) -> "Document":
        """Read the bytes of an answer. Raises NotADocumentError."""
        try:
            values = json.loads(body)
        except (ValueError, RecursionError):
            raise NotADocumentError from None
        if not isinstance(values, dict):
            raise NotADocumentError
        return cls(values)

    def has(self, key: str) -> bool:
        """Whether there is a value that is not null."""
        return self._values.get(key) is not None

    def is_true(self, key: str) -> bool:
        """Whether a value is true, and nothing else."""
        return self._values.get(key) is True

    def is_false(self, key: str) -> bool:
        """Whether a value is false, and nothing else."""
        return self._values.get(key) is False

    def is_list(self, key: str) -> bool:
        """Whether a value is a list."""
        return isinstance(self._values.get(key), list)

    def number(self, key: str) -> float | None:
        """Return a number, None if it is not known."""
        value = self._values.get(key)
        return value if is_number(value) and abs(value) < _LARGEST else None

    def text(self, key: str) -> str:
        """Return a text, empty if it is not known; a number is written out."""
        value = self._values.get(key)
        if isinstance(value, str):
            return value
        found = self.number(key)
        return "" if found is None else str(found)

    def below(self, key: str) -> "Document":
        """Return an object, an empty one if it is not known."""
        value = self._values.get(key)
        return Document(value if isinstance(value, dict) else {})

    def rows(self, key: str) -> list["Document"]:
        """Return the objects of a list."""
        value = self._values.get(key)
        return [Document(item) for item in value if isinstance(item, dict)] if isinstance(value, list) else []

    def texts(self, key: str) -> list[str]:
        """Return the texts of a list."""
        value = self._values.get(key)
        return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []

    def numbers(self, key: str) -> list[float]:
        """Return the numbers of a list; what is not known is 0."""
        value = self._values.get(key)
        return [item if is_number(item) else 0.0 for item in value] if isinstance(value, list) else []

    def items(self) -> Iterator[tuple[str, "Document"]]:
        """Yield the objects below this one, by their names."""
        yield from ((key, Document(value)) for key, value in self._values.items() if isinstance(value, dict))

    def total(self, key: str) -> float | None:
        """Return a number, or the sum of an object of numbers, or of the counts of an object of objects."""
        value = self._values.get(key)
        if not isinstance(value, dict):
            return self.number(key)
        inner = Document(value)
        parts = [inner.number(name) if inner.has(name) else None for name in value]
        counts = [item.number("count") for _, item in inner.items()]
        return sum(part for part in (*parts, *counts) if part is not None)
