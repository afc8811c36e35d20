"""The way in of the ``waitressd`` command: to what asks a running server, to what converts a file, or to what serves.

None pays for another: a command that asks imports nothing of the server, and the server nothing of such commands.
Ctrl-C ends the command at once while anything is imported. As an exception it would be shown with its traceback, or get
lost in one of the places where the import system cannot pass one on.
"""

import signal
import sys

INTERRUPTED = 130
"""The exit status after Ctrl-C, as shells have it, where no server was there yet that could be stopped."""

TYPE_CHECKING = False  # as type checkers know it; `typing` itself takes as long as all that is here
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def main(argv: "Sequence[str] | None" = None) -> int:
    """Run the command and return its exit status. The main thread."""
    hears_interrupts = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # not so in the background
    if hears_interrupts:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    run = _import(list(sys.argv[1:] if argv is None else argv))
    try:
        if hears_interrupts:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return run()
    except KeyboardInterrupt:
        return INTERRUPTED


def _import(arguments: list[str]) -> "Callable[[], int]":
    from waitressd.config.subcommands import CONVERT, SUBCOMMANDS  # noqa: PLC0415 - see the module
    from waitressd.standardstreams import fill_streams  # noqa: PLC0415 - see the module

    if arguments and arguments[0] in SUBCOMMANDS:
        fill_streams()
        if arguments[0] == CONVERT.name:
            from waitressd.convert.command import run as convert  # noqa: PLC0415 - for those who move in alone

            return lambda: convert(arguments[1:])
        from waitressd.tools.commands import run  # noqa: PLC0415 - for those who ask alone

        return lambda: run(arguments[0], arguments[1:])
    from waitressd.cli import main as serve  # noqa: PLC0415 - for those who serve alone

    return lambda: serve(arguments)
