"""A document is read with care: what is missing or of another kind is not known, and nothing raises."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.tools.documents import Document, NotADocumentError

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.sampled_from("ab"), VALUES))
def test_any_value_can_be_asked_for(values: dict[str, object]) -> None:
    document = Document(values)
    for key in ("a", "b", "c"):
        number = document.number(key)
        assert number is None or abs(number) < 1e15
        assert isinstance(document.text(key), str)
        assert all(isinstance(item, str) for item in document.texts(key))
        assert all(isinstance(item, int | float) for item in document.numbers(key))
        assert all(isinstance(item, Document) for item in document.rows(key))
        total = document.total(key)
        assert total is None or total == total  # noqa: PLR0124 - it is a number
        assert not (document.is_true(key) and document.is_false(key))
        document.below(key).below(key).number(key)
    list(document.items())


@given(st.binary())
def test_any_bytes_are_a_document_or_none(data: bytes) -> None:
    with contextlib.suppress(NotADocumentError):
        Document.parse(data)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b"null", b"{", b"[" * 100_000, b'{"a": ' + b"9" * 10_000 + b"}", b"\xff{}"]
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(NotADocumentError):
        Document.parse(data)


def test_what_is_there() -> None:
    document = Document.parse(
        json.dumps(
            {"n": 1.5, "t": "x", "null": None, "yes": True, "no": False, "rows": [{"n": 1}, 2], "below": {"n": 2},
             "texts": ["a", 1], "numbers": [1, "x", None], "states": {"idle": {"count": 3}, "head": {"count": 1}},
             "counts": {"idle": 3, "head": 4}}
        ).encode()
    )  # fmt: skip
    assert document.number("n") == 1.5
    assert document.text("t") == "x"
    assert document.text("n") == "1.5"
    assert document.has("n")
    assert not document.has("null")
    assert document.is_true("yes")
    assert document.is_false("no")
    assert document.is_list("rows")
    assert [row.number("n") for row in document.rows("rows")] == [1]
    assert document.below("below").number("n") == 2
    assert document.texts("texts") == ["a"]
    assert document.numbers("numbers") == [1, 0, 0]
    assert document.total("states") == 4
    assert document.total("counts") == 7
    assert document.total("n") == 1.5
    assert dict(document.items()).keys() == {"below", "states", "counts"}
