"""``waitressd convert``: its command line, what it prints, and its status."""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from waitressd.config.errors import ConfigError, Problem
from waitressd.config.origins import COMMAND_LINE
from waitressd.config.subcommands import CONVERT, CONVERTED
from waitressd.convert.printing import ini_text
from waitressd.convert.recognise import convert_file, convert_words
from waitressd.tools.failures import NO_ANSWER, USAGE, YES, NoAnswerError
from waitressd.tools.printing import write_text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _wrong(message.removeprefix("argument "))


def _wrong(text: str) -> ConfigError:
    return ConfigError([Problem("waitressd convert", "", f"{text} (waitressd convert --help)")])


def run(arguments: Sequence[str]) -> int:
    """Print the ini file. The status is 0, or 2 for a wrong command line or a file that cannot be converted."""
    try:
        write_text(_answer(list(arguments)).removesuffix("\n"))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return USAGE
    except NoAnswerError as error:
        sys.stderr.write(f"waitressd convert: {error}\n")
        return NO_ANSWER
    return YES


def _answer(arguments: list[str]) -> str:
    parser = _Parser(prog="waitressd convert", add_help=False, allow_abbrev=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--from", dest="server", choices=CONVERTED, default="")
    end = arguments.index("--") if "--" in arguments else len(arguments)
    parser.add_argument("files", nargs="*")
    given = parser.parse_args(arguments[:end])
    words = arguments[end + 1 :]
    if given.help:
        return CONVERT.help()
    if len(given.files) + bool(words) != 1:
        raise _wrong("name one file, or -- and a command line")
    sketch = (
        convert_file(given.files[0], given.server)
        if given.files
        else convert_words(COMMAND_LINE.place, words, given.server)
    )
    return ini_text(sketch)
