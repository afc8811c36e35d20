"""The help text: the short one fits on a screen, the long one explains everything."""

from waitressd.config.commandline import OPTIONS, settable
from waitressd.config.helptext import long_help, short_help
from waitressd.config.subcommands import SUBCOMMANDS


def test_the_short_help_fits_on_a_screen() -> None:
    lines = short_help().split("\n")
    assert len(lines) <= 64
    assert max(map(len, lines)) <= 80


def test_both_name_the_commands_that_ask() -> None:
    for name, command in SUBCOMMANDS.items():
        assert name in short_help().split()
        assert command.summary in " ".join(long_help().split())


def test_the_short_help_names_every_option_and_setting() -> None:
    text = short_help()
    for option in OPTIONS:
        assert all(flag in text for flag in option.flags)
    words = text.replace("[no-]", "").split()
    for row in settable():
        assert (row.option in words) is not row.is_inert


def test_the_long_help_explains_every_setting() -> None:
    lines = long_help().split("\n")
    assert max(map(len, lines)) <= 80
    text = " ".join(" ".join(lines).split())
    for row in settable():
        assert row.summary in text
    assert "--[no-]ipv4" in text
    assert "--threads=N" in text
    assert "Default: 4." in text
