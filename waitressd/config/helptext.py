"""The help text of the command, rendered from the options and the table."""

import textwrap
from collections.abc import Iterator
from typing import Final

from waitressd.config.commandline import OPTIONS, settable
from waitressd.config.options import WIDTH
from waitressd.config.settings import Group, Setting
from waitressd.config.subcommands import SUBCOMMANDS, subcommand_lines

_GROUP_COLUMN: Final = 28
_INDENT: Final = 6

_HEAD: Final = """\
Usage: waitressd [OPTIONS] [TARGET] [NAME=VALUE ...]
       waitressd COMMAND [OPTIONS] [ADDRESS | FILE.ini]
TARGET is an ini file (production.ini, production.ini#name) or MODULE:OBJECT.
NAME=VALUE is put in place of %(NAME)s in the ini file.
"""


def short_help() -> str:
    """Render the help that fits on a screen: the options, and the names of the settings by groups."""
    lines = [_HEAD, *(option.help_lines() for option in OPTIONS)]
    lines += ["", "Commands (waitressd COMMAND --help explains them):"]
    lines.append(_filled(" ".join(SUBCOMMANDS), 2))
    lines += ["", "Settings, each as --NAME=VALUE (--help-all explains them):"]
    for group in Group:
        names = [_option_name(row) for row in settable() if row.group is group and not row.is_inert]
        if names:
            lines.append(f"  {group.value:<{_GROUP_COLUMN - 2}}{_filled(' '.join(names), _GROUP_COLUMN).lstrip()}")
    return "\n".join(lines)


def long_help() -> str:
    """Render the help that explains every setting."""
    options = [option.help_lines() for option in OPTIONS]
    commands = ["", "Commands (waitressd COMMAND --help explains them):", *subcommand_lines()]
    return "\n".join([_HEAD, *options, *commands, *_explained()])


def _option_name(row: Setting) -> str:
    return f"[no-]{row.option}" if row.kind.is_flag else row.option


def _explained() -> Iterator[str]:
    for group in Group:
        yield f"\n{group.value}"
        for row in (row for row in settable() if row.group is group):
            value = "" if row.kind.is_flag else f"={row.kind.metavar}"
            yield f"  --{_option_name(row)}{value}"
            for paragraph in (row.summary, _allowed(row)):
                yield _filled(paragraph, _INDENT)


def _filled(text: str, indent: int) -> str:
    margin = " " * indent
    return textwrap.fill(text, WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)


def _allowed(row: Setting) -> str:
    if row.is_inert:
        return f"Accepted, without effect: {row.heritage.note}"
    default = row.shown_default or "none"
    words = "" if row.kind.is_flag else f"{row.kind.words[0].upper()}{row.kind.words[1:]}. "
    return f"{words}Default: {default}."
