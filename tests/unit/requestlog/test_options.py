"""Options of a log: every problem at once, with the option that it is about."""

from pathlib import Path

import pytest

from waitressd.requestlog.options import OptionError, Options


def problems(options: Options) -> list[tuple[str, str]]:
    with pytest.raises(OptionError) as caught:
        options.finish()
    return list(caught.value.problems)


def test_every_kind() -> None:
    options = Options({"a": " x ", "b": "1, 2\n3", "c": "on", "d": "No", "e": "17", "f": "0640"})
    assert options.text("a") == "x"
    assert options.words("b") == ["1", "2", "3"]
    assert options.flag("c") is True
    assert options.flag("d") is False
    assert options.number("e", 1, low=0, high=20) == 17
    assert options.octal("f", 0) == 0o640
    options.finish()


def test_defaults() -> None:
    options = Options({})
    assert options.text("a", "y") == "y"
    assert options.words("b") == []
    assert options.flag("c") is None
    assert options.flag("c", default=True) is True
    assert options.number("d", 5, low=0, high=9) == 5
    assert options.octal("e", 0o600) == 0o600
    options.finish()


def test_all_problems_at_once() -> None:
    options = Options({"a": " ", "c": "maybe", "d": "x", "e": "30", "f": "9", "g": "7777", "paht": "x", "zzz": "1"})
    options.text("a")
    options.flag("c")
    assert options.number("d", 1, low=0, high=9) == 1
    assert options.number("e", 1, low=0, high=9) == 1
    assert options.octal("f", 1) == 1
    assert options.octal("g", 1) == 1
    options.text("path")
    found = problems(options)
    assert found[:-2] == [
        ("a", "expected a value"),
        ("c", "expected true or false"),
        ("d", "expected a whole number, 0 to 9"),
        ("e", "expected a whole number, 0 to 9"),
        ("f", "expected permissions in octal, such as 640"),
        ("g", "expected permissions in octal, such as 640"),
    ]
    assert found[-2] == ("paht", "unknown option; did you mean path?")
    assert found[-1][1].startswith("unknown option; expected one of a, c, d")


@pytest.mark.parametrize("comment", ["; kept a week", "# kept a week"])
def test_a_comment_is_no_part_of_a_path(comment: str) -> None:
    options = Options({"path": f"/var/log/a b.log  {comment}", "other": "/x#1"})
    options.path("path")
    options.path("other")
    text = f"'{comment}' is no comment: comments stand on lines of their own"
    assert problems(options) == [("path", text)]


def test_a_relative_path_belongs_to_the_folder_of_the_start() -> None:
    options = Options({"path": "logs/../a.log", "standard_output": "-"})
    assert options.path("path") == f"{Path.cwd()}/a.log"
    assert options.path("standard_output") == "-"
    assert options.path("nothing") == ""


def test_the_error_reads_as_a_sentence() -> None:
    assert str(OptionError(("a", "is wrong"), ("", "so is everything"))) == "a: is wrong; so is everything"
    assert isinstance(OptionError(), ValueError)
