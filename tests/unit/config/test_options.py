"""An option as help and shells see it."""

import pytest

from waitressd.config.options import WIDTH, Option, help_lines


@pytest.mark.parametrize(
    ("option", "flags", "takes_value"),
    [
        (Option("json", "a"), ("--json",), False),
        (Option("output", "a", "o", "FILE"), ("-o", "--output"), True),
        (Option("print-config", "a", metavar="[=json]"), ("--print-config",), False),
    ],
)
def test_what_a_user_may_write(option: Option, flags: tuple[str, ...], *, takes_value: bool) -> None:
    assert option.flags == flags
    assert option.takes_value is takes_value
    assert all(flag in option.help_lines() for flag in flags)


def test_a_long_summary_is_wrapped_beside_its_word() -> None:
    lines = help_lines("word", "some words " * 20, 10).split("\n")
    assert lines[0].startswith("  word    some words")
    assert all(line[:10].isspace() and line[10] in "sw" for line in lines[1:])
    assert max(map(len, lines)) <= WIDTH
