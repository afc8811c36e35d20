"""Whom to ask: an address and tokens, from the command line, an ini file as the server reads it, or the environment.

Nothing is resolved or connected here; the files named are read.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISSOCK
from typing import Final

from waitressd.config.addresses import FdAddress, ListenAddress, TcpAddress, UnixAddress, parse_listen
from waitressd.config.subcommands import ADMIN_VARIABLE
from waitressd.kinds import BadValueError
from waitressd.tools.failures import UsageError

_PORT: Final = re.compile(r"(?:\[.*\]|[^/\\#]*):[0-9]+|[0-9]+")
_SCHEMES: Final = ("unix:", "fd:", "http:", "https:")
_RIGHTS: Final = ("read", "control")
_TOKEN: Final = re.compile(r"[!-~]{1,4096}")
_TOKEN_FILE_BYTES: Final = 65536
EXPECTED: Final = "ADDRESS (127.0.0.1:9100, unix:/path) or FILE.ini"


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokens that a file has, by the right that each gives; empty ones where it has none."""

    read: str = ""
    control: str = ""
    trouble: str = ""
    """Why a file that the ini file names could not be read; only an answer shows whether a token is needed."""


@dataclass(frozen=True, slots=True)
class Target:
    """A server that can be asked."""

    address: TcpAddress | UnixAddress
    tokens: Tokens = field(default_factory=Tokens)
    ini: str = ""
    """The ini file that named it."""

    def __str__(self) -> str:
        """Write the address."""
        return str(self.address)


@dataclass(frozen=True, slots=True)
class Words:
    """What a command line says about whom to ask."""

    name: str
    """An address or an ini file; empty: the environment says it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """``NAME=VALUE`` for the ini file."""
    server_name: str = ""
    token_file: str = ""


def find_target(words: Words, environ: Mapping[str, str]) -> Target:
    """Work out whom to ask. Raises UsageError, and ConfigError for what is wrong in an ini file."""
    name = words.name or environ.get(ADMIN_VARIABLE, "")
    if not name:
        raise UsageError(f"whom to ask? Name {EXPECTED}, or set {ADMIN_VARIABLE}")
    tokens = read_tokens(words.token_file) if words.token_file else None
    if is_address(name):
        return Target(_reached(_parse(name), name), tokens or Tokens())
    address, token_file = _of_ini(name, words)
    if tokens is None:
        tokens = _tokens_of_ini(token_file) if token_file else Tokens()
    return Target(address, tokens, name)


def is_address(word: str) -> bool:
    """Whether a word is meant as an address, and not as a file or a URI."""
    if word.startswith(_SCHEMES):
        return True
    if word.endswith(".ini"):
        return False
    return bool(_PORT.fullmatch(word)) or _is_socket(word)


def _is_socket(word: str) -> bool:
    try:
        return S_ISSOCK(Path(word).stat().st_mode)
    except (OSError, ValueError):
        return False


def _parse(text: str) -> ListenAddress:
    try:
        return parse_listen(text)
    except BadValueError as bad:
        raise UsageError(f"{text}: {str(bad) or f'expected {EXPECTED}'}") from None


def _reached(address: ListenAddress, place: str) -> TcpAddress | UnixAddress:
    """Turn what a server listens on into what a client connects to. Raises UsageError."""
    if isinstance(address, FdAddress):
        raise UsageError(f"{place}: a socket that systemd hands over has no address here; name the one of its unit")
    if isinstance(address, TcpAddress):
        if not address.port:
            raise UsageError(f"{place}: the system chose the port when the server started; name the address it logged")
        if address.host in ("", "0.0.0.0", "::"):
            return TcpAddress("::1" if ":" in address.host else "127.0.0.1", address.port)
    return address


# ---- ini files -----------------------------------------------------------------------------------------------------


def _of_ini(name: str, words: Words) -> tuple[TcpAddress | UnixAddress, str]:
    """Find the address and the token file in an ini file. Raises UsageError and ConfigError."""
    # An address needs none of it, and the readers of ini files take most of the time of a start.
    from waitressd.config.inisource import IniSource  # noqa: PLC0415 - see above, it is for ini files alone

    if not _is_file(name):
        raise UsageError(f"{name}: there is no such file; name {EXPECTED}")
    given = IniSource(name, words.variables).server_section(words.server_name).given
    item = given.get("admin_listen")
    if item is None or not str(item.value).strip():
        text = f"{name}: admin_listen is not set there, so that server answers no questions; set it"
        raise UsageError(f"{text} (admin_listen = unix:/run/NAME/admin.sock), or name an ADDRESS")
    if item.refusal:
        raise UsageError(str(item.problem("admin_listen", item.refusal)))
    addresses = [_parse(text) for text in re.split(r"[\s,]+", str(item.value).strip())]
    connectable = [address for address in addresses if not isinstance(address, FdAddress)]
    place = f"{item.origin.place}: admin_listen = {addresses[0]}"
    file = given.get("admin_token_file")
    return _reached((connectable or addresses)[0], place), str(file.value).strip() if file else ""


def _is_file(name: str) -> bool:
    """Whether a file has this name; a URI has a scheme before it, and both may have the name of a section behind."""
    path = name.partition("#")[0]
    try:
        return Path(path).exists() or Path(path.partition(":")[2].removeprefix("//")).is_file()
    except (OSError, ValueError):
        return False


# ---- tokens --------------------------------------------------------------------------------------------------------


def read_tokens(path: str) -> Tokens:
    """Read a file of tokens. Raises UsageError."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(_TOKEN_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "this is no path"
        raise UsageError(f"token file {path}: {reason}") from None
    if len(text) > _TOKEN_FILE_BYTES:
        raise UsageError(f"token file {path}: longer than {_TOKEN_FILE_BYTES} bytes, so it is none")
    found: dict[str, str] = {}
    lines = [line.split() for line in text.decode("latin-1").split("\n") if line.strip()]
    for words in (line for line in lines if not line[0].startswith("#")):
        rights, token = ((words[0],), words[1]) if len(words) == 2 else (_RIGHTS, words[0])
        if len(words) > 2 or rights[0] not in _RIGHTS or not _TOKEN.fullmatch(token):
            raise UsageError(f"token file {path}: expected lines 'read TOKEN' and 'control TOKEN', or one token alone")
        for right in rights:
            found.setdefault(right, token)
    if not found:
        raise UsageError(f"token file {path}: there is no token in it")
    return Tokens(found.get("read", ""), found.get("control", ""))


def _tokens_of_ini(path: str) -> Tokens:
    try:
        return read_tokens(path)
    except UsageError as error:
        return Tokens(trouble=str(error))
