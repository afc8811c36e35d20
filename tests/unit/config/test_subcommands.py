"""The commands beside serving: their help explains each option."""

import pytest

from waitressd.config.options import WIDTH
from waitressd.config.subcommands import SUBCOMMANDS, Subcommand, subcommand_lines


@pytest.mark.parametrize("command", SUBCOMMANDS.values(), ids=lambda command: command.name)
def test_the_help_explains_every_option(command: Subcommand) -> None:
    text = command.help()
    for option in command.options:
        assert all(flag in text for flag in option.flags)
    assert f"write file+ini:{command.name}" in " ".join(text.split())
    assert max(map(len, text.split("\n"))) <= WIDTH


def test_the_names_of_options_are_told_apart() -> None:
    for command in SUBCOMMANDS.values():
        flags = [flag for option in command.options for flag in option.flags]
        assert len(flags) == len(set(flags))


def test_each_command_has_a_line() -> None:
    lines = "\n".join(subcommand_lines())
    assert all(f"  {name} " in lines for name in SUBCOMMANDS)
