"""Reads ini files, each once, and gives PasteDeploy's loader for them.

The loader follows the rules of PasteDeploy with three differences, which `pserve` does not have: files are UTF-8
whatever the locale is, a percent sign in the name of a folder or in a variable is an ordinary character, and variables
win over ``[DEFAULT]``.
"""

import configparser
import locale
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from paste.deploy.loadwsgi import SERVER, ConfigLoader, NicerConfigParser

from waitressd.config.inidocument import IniDocument, scan
from waitressd.config.inierrors import interpolation_trouble, unreadable
from waitressd.config.origins import display_path
from waitressd.config.reading import Given

_ABSOLUTE: Final = re.compile(r"(?P<scheme>[A-Za-z]+):(?P<target>[^#]*)(?:#(?P<name>.*))?", re.DOTALL)
_PERCENT: Final = re.compile(r"%%|%\([^)]*\)s|(?P<lone>%)")


def scheme_of(use: str) -> str:
    """Return the scheme of a ``use``, in lower case; empty for the name of another section."""
    match = _ABSOLUTE.fullmatch(use)
    return match["scheme"].lower() if match else ""


def config_target(use: str, folder: str) -> tuple[str, str]:
    """Return the file and the section's name that a ``use = config:FILE#NAME`` in a file of `folder` means.

    As in PasteDeploy, backslashes are slashes, and ``%20`` is a space.
    """
    match = _ABSOLUTE.fullmatch(use)
    assert match is not None
    target = unquote(match["target"].replace("\\", "/")).rstrip()
    path = target if Path(match["target"]).is_absolute() else f"{folder}/{target}"
    return str(Path(path)), match["name"] or "main"


class _Parser(NicerConfigParser):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's parser; it remembers which key was read last, so that a failure of a reader can be located."""

    last_read: tuple[str, str] = ("", "")

    def get(self, section: str, option: str, **options: Any) -> Any:  # noqa: ANN401 - as inherited
        if self.has_option(section, option):
            self.last_read = (section, option)
        return super().get(section, option, **options)


class IniLoader(ConfigLoader):  # type: ignore[misc]  # PasteDeploy has no types
    """PasteDeploy's loader for one document."""

    def __init__(self, documents: "Documents", document: IniDocument, variables: Mapping[str, str]) -> None:
        # Not the inherited constructor, which would read the file again, in the encoding of the locale.
        self.filename = document.path
        self.document = document
        self._documents = documents
        self._variables = variables
        self.parser = _Parser(document.path)
        self.parser.optionxform = str
        self.parser.read_string(document.text, document.path)
        here = {"here": str(Path(document.path).parent), "__file__": document.path}
        self.update_defaults({name: _literal(value) for name, value in here.items()}, overwrite=False)
        self.update_defaults(
            {name: _without_lone_percent(value) for name, value in variables.items()}, overwrite=documents.variables_win
        )

    def server(self, name: str) -> str:
        """Return the whole name of a server's section. Raises LookupError."""
        return str(self.find_config_section(SERVER, name=name))

    def value(self, section: str, key: str) -> Given:
        """Return a value as PasteDeploy hands it over, or why there is none."""
        origin = self.document.origin(section, key)
        try:
            return Given(self.parser.get(section, key), origin)
        except configparser.InterpolationError as error:
            return Given(self.parser.get(section, key, raw=True), origin, interpolation_trouble(error))

    def used(self, path: str, global_conf: Mapping[str, str]) -> "IniLoader":
        """Return the loader for a file that this one uses. Raises ConfigError."""
        loader = self._documents.loader(path, self._variables)
        inherited = {name: _literal(value) for name, value in global_conf.items() if name not in self._variables}
        loader.update_defaults(inherited, overwrite=False)
        return loader

    def get_context(self, object_type: Any, name: str | None = None, global_conf: Any = None) -> Any:  # noqa: ANN401 - PasteDeploy has no types
        """Follow a ``use``; called by PasteDeploy. Raises LookupError and ConfigError."""
        if name is None or scheme_of(name) != "config":
            return super().get_context(object_type, name, global_conf)
        path, name = config_target(name, str(Path(self.filename).parent))
        if not Path(path).is_file():
            raise LookupError(f"there is no file {display_path(path)}")
        return self.used(path, global_conf or {}).get_context(object_type, name, global_conf)


class Documents:
    """The files of one configuration, each read once.

    `variables_win` is whether variables win over ``[DEFAULT]``; under `pserve` they do not.
    """

    def __init__(self, *, variables_win: bool = True) -> None:
        self.variables_win = variables_win
        self._known: dict[str, IniDocument] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that were read."""
        return tuple(self._known)

    def read(self, path: str) -> IniDocument:
        """Return the document of a file. Raises ConfigError if it cannot be read."""
        path = os.path.abspath(path)  # noqa: PTH100 - pathlib does not take ".." out
        if path not in self._known:
            try:
                self._known[path] = scan(path, _decoded(Path(path).read_bytes()))
            except (OSError, UnicodeDecodeError) as error:
                raise unreadable(path, error) from None
        return self._known[path]

    def loader(self, path: str, variables: Mapping[str, str]) -> IniLoader:
        """Return a loader with values for ``%(name)s``. Raises ConfigError."""
        document = self.read(path)
        try:
            return IniLoader(self, document, variables)
        except configparser.Error as error:
            raise unreadable(path, error) from None


def _decoded(data: bytes) -> str:
    """Decode a file as UTF-8, or else as `pserve` does, in the encoding of the locale."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        try:
            text = data.decode(locale.getencoding())
        except UnicodeDecodeError:
            raise error from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _literal(text: str) -> str:
    return text.replace("%", "%%")


def _without_lone_percent(text: str) -> str:
    """Double each percent sign that begins neither ``%%`` nor ``%(name)s``."""
    return _PERCENT.sub(lambda found: "%%" if found["lone"] else found[0], text)
