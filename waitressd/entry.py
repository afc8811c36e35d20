"""The way in of the ``waitressd`` command: to what asks a running server, to what converts a file, or to what serves.

None pays for another: a command that asks imports nothing of the server, and the server nothing of such commands.
"""

import sys
from collections.abc import Sequence

from waitressd.config.subcommands import CONVERT, SUBCOMMANDS
from waitressd.standardstreams import fill_streams


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] in SUBCOMMANDS:
        fill_streams()
        if arguments[0] == CONVERT.name:
            from waitressd.convert.command import run as convert  # noqa: PLC0415 - for those who move in alone

            return convert(arguments[1:])
        from waitressd.tools.commands import run  # noqa: PLC0415 - for those who ask alone

        return run(arguments[0], arguments[1:])
    from waitressd.cli import main as serve  # noqa: PLC0415 - for those who serve alone

    return serve(arguments)
