"""An exception becomes one line with its place, whatever it is and says, and is not kept alive."""

import gc
import weakref

import pytest

from waitressd.insight.failures import TEXT_CHARACTERS, describe_failure


class Odd(Exception):  # noqa: N818 - a test's own
    """One whose text is code that fails."""

    def __str__(self) -> str:
        raise ValueError


def caught(error: BaseException) -> BaseException:
    """Raise it here, and return it with its traceback."""
    try:
        raise error
    except BaseException as raised:  # border: what is tested
        return raised


def said(error: BaseException) -> str:
    """Return what is said of it before its place."""
    return describe_failure(error).rpartition(" (")[0]


def test_a_failure_has_its_type_its_text_and_its_place() -> None:
    line = caught.__code__.co_firstlineno + 3
    text = describe_failure(caught(KeyError("sku")))
    assert text.startswith("KeyError: 'sku' (")
    assert text.endswith(f"test_failures.py:{line} caught)")


def test_an_exception_that_was_never_raised_has_no_place() -> None:
    assert describe_failure(ValueError("x")) == "ValueError: x"
    assert describe_failure(ValueError()) == "ValueError"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ValueError("two\n  lines\there"), "ValueError: two lines here"),
        (ValueError("\x1b[2J\x00\u202e"), r"ValueError: \x1b[2J\x00\u202e"),
        (ValueError("\ud800"), r"ValueError: \ud800"),
        (Odd(), f"{__name__}.Odd: (it cannot say what it is)"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_whatever_it_says_is_one_visible_line(error: BaseException, expected: str) -> None:
    assert said(caught(error)) == expected


def test_a_password_in_a_url_is_not_told() -> None:
    error = OSError("no answer of postgres://shop:secret@db/shop")
    assert said(caught(error)) == "OSError: no answer of postgres://***@db/shop"


def test_a_long_text_is_cut() -> None:
    assert said(caught(ValueError("x" * 10_000_000))) == "ValueError: " + "x" * (TEXT_CHARACTERS - 3) + "..."


def test_nothing_is_kept_alive() -> None:
    error = caught(Odd())
    reference = weakref.ref(error)
    describe_failure(error)
    del error
    gc.collect()
    assert reference() is None


def test_a_deep_recursion_is_described() -> None:
    def deeper() -> None:
        deeper()

    with pytest.raises(RecursionError) as raised:
        deeper()
    assert said(raised.value).startswith("RecursionError: maximum recursion depth exceeded")
