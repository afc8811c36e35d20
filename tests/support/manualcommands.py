"""The commands of the manual: which are ours and can be read without running them, and which are somebody else's.

`python -m tests.support.manualcommands` lists all of them.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.manual import Block, blocks, pages
from tests.support.servers import ROOT
from waitressd.config.adjustments import Adjustments
from waitressd.config.commandline import parse_command
from waitressd.config.errors import ConfigError
from waitressd.config.subcommands import SUBCOMMANDS
from waitressd.tools.failures import UsageError
from waitressd.tools.words import parse_words

FOREIGN: Final[dict[str, str]] = {
    "acme.sh": "asks a CA on the network",
    "certbot": "asks a CA on the network",
    "curl": "asks a server that the page supposes; in the tutorial it runs",
    "echo": "is the shell's",
    "exit": "is the shell's",
    "export": "is the shell's; in the tutorial it runs",
    "grep": "reads what curl has got",
    "install": "writes to folders of the system",
    "lego": "asks a CA on the network",
    "openssl": "runs in test_the_certificate_for_a_try_can_be_made",
    "pip": "installs from the network; .ci/run does the same",
    "pkill": "finds processes of the whole machine; in the tutorial its signal is sent",
    "pytest": "runs these tests; .ci/run takes the line from the README",
    "python3": "makes a virtual environment, as .ci/run does",
    "sed": "runs in the tutorial",
    "send-it": "stands for the reader's own program",
    "ssh": "reaches another machine",
    "systemctl": "speaks to the service manager of the machine",
    "systemd-socket-activate": "needs systemd; what it starts is read",
}
"""Programs that are not ours, and why a test does not run them as they stand there."""

_LITERAL: Final = re.compile(r"``((?:waitressd|pserve|python -m) [^`]+)``", re.DOTALL)
_SHELL_LANGUAGES: Final = frozenset({"sh", "bash"})
_PLACEHOLDER: Final = re.compile(r"[A-Z]{3,}(:[A-Z]+)?|\.\.\.")


@dataclass(frozen=True)
class Command:
    """One command on a page, in words."""

    place: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.words)


def shell_text(block: Block) -> str:
    """Return what is typed of a block: all of a script, or the lines with a prompt of a session."""
    if block.language in _SHELL_LANGUAGES:
        return block.text
    return "\n".join(line[2:] for line in block.text.split("\n") if line.startswith("$ "))


def commands() -> Iterator[Command]:
    """Find the commands of every page: of its blocks, and those that stand in its sentences."""
    for page in pages():
        for block in blocks(page):
            if block.language in {*_SHELL_LANGUAGES, "console"}:
                yield from _of_shell(block.place, shell_text(block))
        text = page.read_text(encoding="utf-8")
        for match in _LITERAL.finditer(text):
            place = f"{page.name}:{text.count(chr(10), 0, match.start()) + 1}"
            yield from _of_shell(place, " ".join(match[1].split()))


def _of_shell(place: str, text: str) -> Iterator[Command]:
    for line in text.replace("\\\n", " ").split("\n"):
        lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|")
        lexer.whitespace_split = True
        words: list[str] = []
        for token in [*lexer, ";"]:
            if not set(token) <= set(";&|"):
                words.append(token)
            elif words:
                yield Command(place, tuple(_without_redirection(words)))
                words = []


def _without_redirection(words: list[str]) -> list[str]:
    return words[: words.index(">")] if ">" in words else words


def trouble_with(command: Command) -> str:
    """Say what is wrong with a command, by the parser that it would meet; nothing if it is somebody else's."""
    program, *arguments = command.words
    program = Path(program).name
    if program == "systemd-socket-activate":
        arguments = arguments[arguments.index("waitressd") + 1 :]
        program = "waitressd"
    if program == "python" and arguments[:1] == ["-m"]:
        program, *arguments = arguments[1:]
    if program == "python" and arguments[:1] == ["manage.py"]:
        return ""  # what these do to the Django project, test_examples.py does
    if program == "waitressd":
        return _trouble_with_ours(arguments)
    if program == "pserve":
        return "" if arguments and re.fullmatch(r"\S+\.ini|--reload", arguments[0]) else "pserve without a file"
    if program.partition(".")[0] in {"benchmarks", "tests"}:
        return _trouble_with_module(program, [word.strip("[]") for word in arguments])
    if program in sys.stdlib_module_names:
        return ""
    return "" if program in FOREIGN else f"{program} is not one of {', '.join(FOREIGN)}"


def _trouble_with_ours(arguments: list[str]) -> str:
    if "--" in arguments:  # what follows is the command of another server
        arguments = arguments[: arguments.index("--")]
    if not arguments or _PLACEHOLDER.fullmatch(arguments[0]):
        return ""  # a synopsis
    try:
        if arguments[0] in SUBCOMMANDS:
            parse_words(arguments[0], [re.sub(r"^SECONDS$", "5", word) for word in arguments[1:]])
        else:
            given = parse_command(arguments).overrides
            Adjustments.from_given(given)
    except (ConfigError, UsageError) as error:
        return str(error)
    return ""


def _trouble_with_module(module: str, arguments: list[str]) -> str:
    folder = ROOT.joinpath(*module.split("."))
    sources = [*folder.glob("*.py"), folder.with_suffix(".py")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources if path.is_file())
    missing = [word for word in arguments if word.startswith("--") and f'"{word.partition("=")[0]}"' not in text]
    return f"{module} has no {' '.join(missing)}" if missing or not text else ""


def main() -> None:
    """List the commands."""
    for command in commands():
        reason = FOREIGN.get(Path(command.words[0]).name, "read by its parser")
        sys.stdout.write(f"{command.place:32} {command}    [{reason}]\n")


if __name__ == "__main__":
    main()
