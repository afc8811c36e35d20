"""The file of the tokens that an admin address asks for: lines `read TOKEN` and `control TOKEN`.

Reads a disk, so never in the thread that answers. What is wrong is said without any part of a token.
"""

import logging
import os
import re
import stat
from pathlib import Path
from typing import Final

from waitressd.insight.guard import Tokens
from waitressd.net.logs import say

LEAST_CHARACTERS: Final = 20
MOST_BYTES: Final = 65536

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # what may stand behind Bearer (RFC 6750, section 2.1)
_EXPECTED: Final = "expected read TOKEN or control TOKEN"


class TokenFileError(Exception):
    """The file cannot be used; the text says why."""


class TokenFile:
    """The tokens in use, and the file that they came from. Any thread may read `tokens`."""

    def __init__(self, path: str = "") -> None:
        """Read the file; without one there are no tokens. Raises TokenFileError."""
        self._path = path
        self.tokens = read_tokens(path) if path else Tokens()

    def move(self, path: str) -> None:
        """Take the tokens of another file, or of the same; if that does not work, as in `reload`. Any thread."""
        self._path = path
        if path:
            self.reload()
        else:
            self.tokens = Tokens()

    def reload(self) -> None:
        """Read the file again; if that does not work, the tokens stay as they are, and the log says so. Any thread."""
        if not self._path:
            return
        try:
            self.tokens = read_tokens(self._path)
        except TokenFileError as error:
            say(logging.ERROR, "admin_token_file = %s: %s; the former tokens stay in use", self._path, error)


def read_tokens(path: str) -> Tokens:
    """Read a file of tokens. Raises TokenFileError."""
    found: dict[str, list[str]] = {"read": [], "control": []}
    for number, line in enumerate(_text_of(path).splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or words[0] not in found:
            raise TokenFileError(f"line {number}: {_EXPECTED}")
        if len(words[1]) < LEAST_CHARACTERS:
            raise TokenFileError(f"line {number}: a token has {LEAST_CHARACTERS} characters or more")
        if not _TOKEN.fullmatch(words[1]):
            raise TokenFileError(f"line {number}: a token consists of letters, digits and - . _ ~ + /")
        found[words[0]].append(words[1])
    tokens = Tokens(tuple(found["read"]), tuple(found["control"]))
    if not tokens.are_given:
        raise TokenFileError(f"there is no token in it; {_EXPECTED}")
    return tokens


def _text_of(path: str) -> str:
    try:
        # A pipe in the place of the file must not hold up the start.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        try:
            _check(os.fstat(fd), path)  # what is looked at is what is read
            octets = os.read(fd, MOST_BYTES + 1)
        finally:
            os.close(fd)
    except OSError as error:
        raise TokenFileError((error.strerror or str(error)).lower()) from None
    if len(octets) > MOST_BYTES:
        raise TokenFileError(f"it is longer than {MOST_BYTES} bytes")
    try:
        return octets.decode("ascii")
    except UnicodeDecodeError:
        raise TokenFileError("it is not plain ASCII text") from None


def _check(status: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise TokenFileError("this is not a file")
    if os.name == "posix" and status.st_mode & stat.S_IRWXO:
        raise TokenFileError(f"other accounts may use it; chmod o-rwx {Path(path).name}")
