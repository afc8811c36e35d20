"""Renders docs/man/waitressd.1 from what `waitressd --help` is made of.

python docs/render_man.py            writes it
python docs/render_man.py --check    says whether it is what the options give, and exits with 1 if not
"""

import sys
from collections.abc import Iterator
from typing import Final

from rendering import write_or_check

from waitressd import __version__
from waitressd.config.commandline import OPTIONS, settable
from waitressd.config.options import Option
from waitressd.config.settings import Group, Setting
from waitressd.config.subcommands import ADMIN_VARIABLE, SUBCOMMANDS, Subcommand

_HEAD: Final = """\
.\\" Rendered from the options by docs/render_man.py; change it there.
.TH WAITRESSD 1 "" "waitressd {version}" "User Commands"
.SH NAME
waitressd \\- serve a WSGI application, from an ini file or by its name
.SH SYNOPSIS
.B waitressd
[\\fIOPTIONS\\fR] [\\fITARGET\\fR] [\\fINAME\\fR=\\fIVALUE\\fR ...]
.br
.B waitressd
\\fICOMMAND\\fR [\\fIOPTIONS\\fR] [\\fIADDRESS\\fR | \\fIFILE.ini\\fR]
.SH DESCRIPTION
TARGET is an ini file (production.ini, production.ini#name) or MODULE:OBJECT. With both, the file configures the server
and MODULE:OBJECT is the application. NAME=VALUE is put in place of %(NAME)s in the ini file. Every setting is an
option, too, and wins over the file. A wrong configuration never starts: one message lists every problem.
"""
_STATUS: Final = """\
.SH EXIT STATUS
.TP
.B 0
a graceful stop, a good check, something printed
.TP
.B 1
a failure at run time: an address in use, an application that cannot be loaded
.TP
.B 2
a wrong command line or configuration
.PP
Those of the commands are in their sections.
.SH SIGNALS
.TP
.B SIGTERM, SIGINT
stop: finish what has begun, within shutdown_timeout; a second one stops at once
.TP
.B SIGHUP
with a master: reload the code and the ini file without losing a request; else open log files anew
.TP
.B SIGUSR1
open log files anew
"""


def _escaped(text: str) -> str:
    """Write a text so that roff shows it as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _option(option: Option) -> Iterator[str]:
    flags = ", ".join(f"\\fB{_escaped(flag)}\\fR" for flag in option.flags)
    value = f"{'=' * option.takes_value}\\fI{_escaped(option.metavar)}\\fR" if option.metavar else ""
    yield from (".TP", f"{flags}{value}", _escaped(option.summary))


def _setting(row: Setting) -> Iterator[str]:
    name = f"--[no-]{row.option}" if row.kind.is_flag else f"--{row.option}"
    value = "" if row.kind.is_flag else f"=\\fI{_escaped(row.kind.metavar)}\\fR"
    default = _escaped(row.shown_default or "none")
    yield from (".TP", f"\\fB{_escaped(name)}\\fR{value}", f"{_escaped(row.summary)} Default: {default}.")


def _command(command: Subcommand) -> Iterator[str]:
    yield f".SS waitressd {command.name} [OPTIONS] {_escaped(command.operands)}"
    yield _escaped(f"{command.summary[0].upper()}{command.summary[1:]}.")
    for option in command.options:
        yield from _option(option)
    yield ".PP"
    meanings = [f"{status}: {meaning}" for status, meaning in enumerate(command.statuses) if meaning]
    yield _escaped(f"Status {'; '.join(meanings)}.")


def man_page() -> str:
    """Render the page."""
    lines = [_HEAD.format(version=__version__).rstrip("\n"), ".SH OPTIONS"]
    for option in OPTIONS:
        lines += _option(option)
    lines.append(".SH SETTINGS")
    for group in Group:
        rows = [row for row in settable() if row.group is group and not row.is_inert]
        if rows:
            lines.append(f".SS {group.value}")
            for row in rows:
                lines += _setting(row)
    lines.append(".SH COMMANDS")
    for command in SUBCOMMANDS.values():
        lines += _command(command)
    lines += [".SH ENVIRONMENT", ".TP", f".B {ADMIN_VARIABLE}", "an address or an ini file for commands that name none"]
    lines.append(_STATUS.rstrip("\n"))
    lines += [".SH SEE ALSO", ".BR pserve (1),", ".BR systemd.service (5)"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(write_or_check({"man/waitressd.1": man_page()}, "render_man.py"))
