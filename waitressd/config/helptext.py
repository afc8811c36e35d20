"""The help text of the command, rendered from the options and the table."""

import textwrap
from collections.abc import Iterator
from typing import Final

from waitressd.config.commandline import OPTIONS, Option, settable
from waitressd.config.settings import Group, Setting

_WIDTH: Final = 80
_FLAG_COLUMN: Final = 29
_GROUP_COLUMN: Final = 28
_INDENT: Final = 6

_HEAD: Final = """\
Usage: waitressd [OPTIONS] [TARGET] [NAME=VALUE ...]
TARGET is an ini file (production.ini, production.ini#name) or MODULE:OBJECT.
NAME=VALUE is put in place of %(NAME)s in the ini file.
"""


def short_help() -> str:
    """Render the help that fits on a screen: the options, and the names of the settings by groups."""
    lines = [_HEAD, *(_option_line(option) for option in OPTIONS)]
    lines += ["", "Settings, each as --NAME=VALUE (--help-all explains them):"]
    for group in Group:
        names = [_option_name(row) for row in settable() if row.group is group and not row.is_inert]
        if names:
            lines.append(f"  {group.value:<{_GROUP_COLUMN - 2}}{_filled(' '.join(names), _GROUP_COLUMN).lstrip()}")
    return "\n".join(lines)


def long_help() -> str:
    """Render the help that explains every setting."""
    return "\n".join([_HEAD, *(_option_line(option) for option in OPTIONS), *_explained()])


def _option_line(option: Option) -> str:
    flags = ("" if option.short else "    ") + ", ".join(option.flags)
    left = f"  {flags}{'=' * option.takes_value}{option.metavar}"
    gap = " " * max(2, _FLAG_COLUMN - len(left))
    lines = textwrap.wrap(option.summary, _WIDTH - _FLAG_COLUMN)
    return f"{left}{gap}" + f"\n{' ' * _FLAG_COLUMN}".join(lines)


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
    return textwrap.fill(text, _WIDTH, initial_indent=margin, subsequent_indent=margin, break_on_hyphens=False)


def _allowed(row: Setting) -> str:
    if row.is_inert:
        return f"Accepted, without effect: {row.heritage.note}"
    default = row.shown_default or "none"
    words = "" if row.kind.is_flag else f"{row.kind.words[0].upper()}{row.kind.words[1:]}. "
    return f"{words}Default: {default}."
