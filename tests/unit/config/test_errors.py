"""Problems and the error that lists them."""

import pytest

from waitressd.config.errors import ConfigError, Problem, shorten, together


def test_a_problem_says_where_what_and_what_is_allowed() -> None:
    problem = Problem("production.ini:31 [server:main]", "threads = four", "expected a whole number, 1 to 1024")
    assert str(problem) == "production.ini:31 [server:main]: threads = four: expected a whole number, 1 to 1024"
    assert str(Problem("", "threads = four", "expected")) == "threads = four: expected"
    assert str(Problem("a.ini", "", "expected")) == "a.ini: expected"


def test_the_error_is_a_value_error_and_a_quiet_exit() -> None:
    error = ConfigError([Problem("", "a = 1", "no"), Problem("", "b = 2", "no")])
    assert str(error) == "a = 1: no\nb = 2: no"
    assert error.code == str(error)
    assert len(error.problems) == 2
    for kind in (ValueError, SystemExit, Exception):
        with pytest.raises(kind):
            raise error


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\n  b", "a b"),
        ("a\0b\x1b", "a\\x00b\\x1b"),
        (7, "7"),
        ([1, "a"], "[1, 'a']"),
        ("é", "é"),
        ("x" * 100, "x" * 100),
        ("x" * 101 + "END", "x" * 77 + "..." + "x" * 17 + "END"),
    ],
)
def test_a_value_is_shown_on_one_line(value: object, text: str) -> None:
    assert shorten(value) == text


def test_what_is_wrong_in_several_places_is_raised_together() -> None:
    def fail(text: str) -> None:
        raise ConfigError([Problem("", "", text)])

    assert together(lambda: 1, lambda: "two") == [1, "two"]
    with pytest.raises(ConfigError, match=r"\Aa\nb\Z"):
        together(lambda: fail("a"), lambda: 1, lambda: fail("b"))
    with pytest.raises(ZeroDivisionError):
        together(lambda: 1 / 0)
