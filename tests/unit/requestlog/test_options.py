"""Options of a log: every problem at once, with the option that it is about."""

from pathlib import Path

import pytest

from waitressd.kinds import boolean, list_of, octal_mode, path, text
from waitressd.requestlog.options import OptionError, Options

WORDS = list_of("words", str, "WORD")


def problems(options: Options) -> list[tuple[str, str]]:
    with pytest.raises(OptionError) as caught:
        options.finish()
    return list(caught.value.problems)


def test_every_kind() -> None:
    options = Options({"a": " x ", "b": "1, 2\n3", "c": "on", "d": False, "f": "0640"})
    assert options.take("a", text(), "") == "x"
    assert options.take("b", WORDS, ()) == ("1", "2", "3")
    assert options.take("c", boolean(), None) is True
    assert options.take("d", boolean(), None) is False
    assert options.take("f", octal_mode(), 0) == 0o640
    options.finish()


def test_defaults() -> None:
    options = Options({})
    assert options.take("a", text(), "y") == "y"
    assert options.take("c", boolean(), None) is None
    options.finish()


def test_all_problems_at_once() -> None:
    options = Options({"a": " ", "c": "maybe", "f": "9", "g": "7777", "paht": "x", "zzz": "1"})
    assert options.take("a", text(), "d") == "d"
    options.take("c", boolean(), None)
    assert options.take("f", octal_mode(), 1) == 1
    assert options.take("g", octal_mode(), 1) == 1
    options.take("path", text(), "")
    found = problems(options)
    assert found[:-2] == [
        ("a", "expected a value"),
        ("c", "expected true or false (also yes, no, on, off, t, f, y, n, 1, 0)"),
        ("f", "expected an octal file mode, 000 to 777"),
        ("g", "expected an octal file mode, 000 to 777"),
    ]
    assert found[-2] == ("paht", "unknown option; did you mean path?")
    assert found[-1][1].startswith("unknown option; expected one of a, c, f")


@pytest.mark.parametrize("comment", ["; kept a week", "# kept a week"])
def test_a_comment_is_no_part_of_a_path(comment: str) -> None:
    options = Options({"path": f"/var/log/a b.log  {comment}", "other": "/x#1"})
    options.take("path", path("a file"), "")
    options.take("other", path("a file"), "")
    assert problems(options) == [("path", f"'{comment}' is no comment: a comment needs a line of its own")]


def test_a_relative_path_belongs_to_the_folder_of_the_start() -> None:
    options = Options({"path": "logs/../a.log", "standard_output": "-"})
    kind = path("a file", "-")
    assert options.take("path", kind, "") == f"{Path.cwd()}/a.log"
    assert options.take("standard_output", kind, "") == "-"
    assert options.take("nothing", kind, "") == ""


def test_the_error_reads_as_a_sentence() -> None:
    assert str(OptionError(("a", "is wrong"), ("", "so is everything"))) == "a: is wrong; so is everything"
    assert isinstance(OptionError(), ValueError)
