"""The commands beside serving, as values: their names, what they are for, their options.

Imports nothing of the server and no settings, for such a command starts often and is to answer at once.
"""

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from waitressd.config.options import WIDTH, Option, help_lines

PHASES: Final = ("head", "body", "queued", "application", "flush")
ADMIN_VARIABLE: Final = "WAITRESSD_ADMIN"
"""The environment variable that names an address or an ini file where the command line does not."""

_ABOUT_ADDRESSES: Final = (
    "ADDRESS is the server's admin_listen: 127.0.0.1:9100, [::1]:9100, unix:/path. Of FILE.ini the first admin_listen "
    "and the admin_token_file are taken; NAME=VALUE behind it is put in place of %(NAME)s. Without either, {variable} "
    "is one of them. To serve an ini file that is named {name}, write file+ini:{name}"
)
CONVERTED: Final = ("gunicorn", "uwsgi", "waitress")
"""The servers whose configuration can be converted."""
_ABOUT_CONVERT: Final = (
    "FILE is a gunicorn.conf.py, an ini file with a section [uwsgi] or [server:main], or a Procfile or unit of systemd "
    "with a line that starts one of them; COMMAND is such a line. Nothing of it is run. The result is printed, with a "
    "comment for each line that has no counterpart. To serve an ini file that is named convert, write "
    "file+ini:convert"
)
_COMMON: Final = (
    Option("token-file", "lines 'read TOKEN' and 'control TOKEN', or one token alone", metavar="FILE"),
    Option("timeout", "how long to wait for an answer (2 s)", metavar="SECONDS"),
    Option("server-name", "section [server:NAME] of the ini file (main)", metavar="NAME"),
    Option("help", "print this", "h"),
)
_JSON: Final = Option("json", "print the document of the server as it came")
_OLDER: Final = Option("older", "only those of at least this age", metavar="SECONDS")
_LIMIT: Final = Option("limit", "how many to list at most", metavar="N")
_STACK: Final = Option("stack", "the stack of each, innermost frame last")
_FAIL_EMPTY: Final = Option("fail-empty", "end with status 1 if there are none")
_WORKER: Final = Option("worker", "only those of one worker process", metavar="N")


@dataclass(frozen=True, slots=True)
class Subcommand:
    """One command."""

    name: str
    summary: str
    word: str = ""
    """What may come before the address."""
    own: tuple[Option, ...] = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """All options: its own, and those of every such command."""
        return (*self.own, *_COMMON)

    @property
    def operands(self) -> str:
        """What comes after the options."""
        return f"[{self.word}] [ADDRESS | FILE.ini]" if self.word else "[ADDRESS | FILE.ini]"

    @property
    def about(self) -> str:
        """What the words mean."""
        return _ABOUT_ADDRESSES.format(variable=ADMIN_VARIABLE, name=self.name)

    @property
    def statuses(self) -> tuple[str, ...]:
        """What each exit status means, from 0 up."""
        no = {"ready": "it is not ready", "live": "it is not live"}.get(
            self.name, "no; nothing found, with --fail-empty"
        )
        return (
            "yes, or done",
            no,
            "a wrong command line, ini file or token file",
            "no answer that can be used; the line says why",
        )

    def help(self) -> str:
        """Write the help."""
        lines = [
            f"Usage: waitressd {self.name} [OPTIONS] {self.operands}",
            f"{self.summary[0].upper()}{self.summary[1:]}.",
            "",
            textwrap.fill(self.about, WIDTH),
            "",
            *(option.help_lines() for option in self.options),
            "",
            *_status_lines(self.statuses),
        ]
        return "\n".join(lines)


class ConvertCommand(Subcommand):
    """The command that asks nobody: it reads a file of another server."""

    __slots__ = ()

    @property
    def options(self) -> tuple[Option, ...]:
        """All options."""
        return (*self.own, _COMMON[-1])

    @property
    def operands(self) -> str:
        """What comes after the options."""
        return "FILE | -- COMMAND..."

    @property
    def about(self) -> str:
        """What the words mean."""
        return _ABOUT_CONVERT

    @property
    def statuses(self) -> tuple[str, ...]:
        """What each exit status means, from 0 up."""
        return ("it was converted", "", "a wrong command line, or a file that cannot be converted")


def _status_lines(meanings: tuple[str, ...]) -> Iterator[str]:
    for status, meaning in enumerate(meanings):
        if meaning:
            yield f"{'        ' if status else 'Status: '}{status} {meaning}"


CONVERT: Final = ConvertCommand(
    "convert",
    "write the configuration of gunicorn, uWSGI or waitress as an ini file",
    own=(Option("from", "whose file it is, if that is not recognised", metavar="SERVER", choices=CONVERTED),),
)
SUBCOMMANDS: Final[dict[str, Subcommand]] = {
    command.name: command
    for command in (
        Subcommand("top", "show a server as it runs: what it does, where requests hang"),
        Subcommand(
            "requests",
            "list the requests in flight, the oldest first",
            "ID",
            (
                Option("phase", "only those in one phase", metavar="PHASE", choices=PHASES),
                Option("route", "only those of one route", metavar="ROUTE"),
                _OLDER,
                _WORKER,
                _STACK,
                Option("group", "the places where they are, with how many are there"),
                _LIMIT,
                _FAIL_EMPTY,
                _JSON,
            ),
        ),
        Subcommand(
            "connections",
            "list the connections, by state, and the clients that have most of them",
            own=(
                Option("state", "only those in one state", metavar="STATE"),
                Option("client", "only those of one client", metavar="ADDRESS"),
                _OLDER,
                _LIMIT,
                Option("offset", "how many to leave out before", metavar="N"),
                _FAIL_EMPTY,
                _JSON,
            ),
        ),
        Subcommand("threads", "list the threads of the processes", own=(_STACK, _JSON)),
        Subcommand("slow", "list the last requests that were slow or failed", own=(_STACK, _FAIL_EMPTY, _JSON)),
        Subcommand(
            "stats",
            "print findings, rates, percentiles and routes",
            own=(Option("window", "of the last seconds (60)", metavar="N", choices=("10", "60", "300")), _JSON),
        ),
        Subcommand(
            "ready",
            "ask whether the server takes requests",
            own=(Option("wait", "wait until it does, so long at most", metavar="SECONDS"), _JSON),
        ),
        Subcommand("live", "ask whether the server lives", own=(_JSON,)),
        Subcommand(
            "profile",
            "sample what the threads do",
            "SECONDS",
            (
                Option("output", "write to a file; one that ends in .json is for speedscope", "o", "FILE"),
                Option("format", "of the output", metavar="FORMAT", choices=("collapsed", "speedscope")),
                Option("rate", "samples a second, 1 to 200 (100)", metavar="N"),
                Option("threads", "those with a request, or all (busy)", metavar="WHICH", choices=("busy", "all")),
                _JSON,
            ),
        ),
        Subcommand("drain", "have the server finish its requests and end, as SIGTERM does", own=(_JSON,)),
        CONVERT,
    )
}
"""By their names, in the order of the help."""


def subcommand_lines() -> list[str]:
    """Write a line for each command, for the help of the whole."""
    return [help_lines(command.name, command.summary, 15) for command in SUBCOMMANDS.values()]
