"""The parameters of a question."""

import pytest

from waitressd.insight.answers import BadQuestion, Query
from waitressd.insight.parameters import Parameters, prefers_text


def given(**parameters: str) -> Parameters:
    return Parameters(Query("GET", "/x", parameters, ""), "word", "number", "seconds", "flag")


def test_what_is_not_given_has_its_default() -> None:
    nothing = given()
    assert nothing.text("word") is None
    assert nothing.choice("word", ("a",)) is None
    assert nothing.flag("flag") is False
    assert nothing.whole("number", 7, 100) == 7
    assert nothing.seconds("seconds") == 0.0


def test_what_is_given() -> None:
    assert given(word="").text("word") == ""
    assert given(word="a").choice("word", ("a", "b")) == "a"
    assert given(flag="1").flag("flag")
    assert not given(flag="0").flag("flag")
    assert given(number="100").whole("number", 7, 100) == 100
    assert given(seconds="2.5").seconds("seconds") == 2.5


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("word", "c", "one of a, b"),
        ("word", "", "one of a, b"),
        ("flag", "yes", "one of 0, 1"),
        ("number", "", "a whole number, 1 to 100"),
        ("number", "0", "1 to 100"),
        ("number", "101", "1 to 100"),
        ("number", "-5", "1 to 100"),
        ("number", "1.0", "1 to 100"),
        ("number", "\u0661", "1 to 100"),  # a digit elsewhere
        ("number", "9" * 10_000, "1 to 100"),
        ("seconds", "", "a number of seconds"),
        ("seconds", "-1", "a number of seconds"),
        ("seconds", "nan", "a number of seconds"),
        ("seconds", "inf", "a number of seconds"),
        ("seconds", "1" * 10_000, "a number of seconds"),
        ("seconds", "<script>", "a number of seconds"),
    ],
)
def test_a_wrong_value_is_answered_by_what_is_allowed(name: str, value: str, allowed: str) -> None:
    parameters = given(**{name: value})
    with pytest.raises(BadQuestion) as caught:
        for read in (
            lambda: parameters.choice("word", ("a", "b")),
            lambda: parameters.flag("flag"),
            lambda: parameters.whole("number", 7, 100, 1),
            lambda: parameters.seconds("seconds"),
        ):
            read()
    assert str(caught.value).startswith(f"{name} of /x is ")
    assert allowed in str(caught.value)
    assert len(str(caught.value)) < 250


def test_an_unknown_name_is_answered_by_those_that_there_are() -> None:
    with pytest.raises(BadQuestion, match="'nmber' is no parameter of /x; it takes word, number, seconds, flag"):
        given(nmber="1")
    with pytest.raises(BadQuestion, match="takes no parameter"):
        Parameters(Query("GET", "/x", {"a": "1"}, ""))


@pytest.mark.parametrize("accept", ["text/plain", "text/html, text/plain;q=0.5"])
def test_text_is_for_who_asks_for_it(accept: str) -> None:
    assert prefers_text(accept)


@pytest.mark.parametrize("accept", ["", "*/*", "text/html", "application/json, text/plain"])
def test_json_is_for_everybody_else(accept: str) -> None:
    assert not prefers_text(accept)
