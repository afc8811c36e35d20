"""The target of our own command: an ini file, or whatever else a plaster URI names.

Gives the server's settings, the logging and the application, in the order in which pserve asks for them.
"""

import os
from collections.abc import Mapping
from logging import basicConfig
from logging.config import fileConfig
from traceback import walk_tb
from typing import Any, Final

import plaster

from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.hints import reference_hint
from waitressd.config.inidocument import IniDocument
from waitressd.config.inierrors import application_trouble
from waitressd.config.inifile import ANOTHER_SERVER, ServerSection, from_file, is_ours
from waitressd.config.iniloader import Documents, IniLoader
from waitressd.config.inilogging import logging_problems
from waitressd.config.origins import Origin, Source
from waitressd.config.reading import Given

_LOADERS: Final = ("waitressd", "paste", "plaster", "plaster_pastedeploy", "configparser", "importlib")
_INI_SCHEMES: Final = ("file+ini", "ini", "pastedeploy", "pastedeploy+ini")


class IniSource:
    """An ini file, or whatever else a plaster URI names: the server's settings, the logging and the application.

    Raises ConfigError if the URI or the file cannot be read.
    """

    def __init__(self, uri: str, variables: Mapping[str, str]) -> None:
        try:
            self._uri = plaster.parse_uri(uri)
        except plaster.InvalidURI:
            text = f"expected an ini file (production.ini), a plaster URI or MODULE:OBJECT{reference_hint(uri)}"
            raise ConfigError([Problem("command line", uri, text)]) from None
        self._variables = {**self._uri.options, **variables, "__script__": "waitressd"}
        self._loader: Any = None
        self._documents = Documents()
        is_file = str(self._uri.scheme).lower() in _INI_SCHEMES
        # Absolute: the application may change the current folder before the file is looked at again.
        self.path = os.path.abspath(self._uri.path) if is_file else ""  # noqa: PTH100 - takes ".." out as well
        if self.path:
            self._documents.loader(self.path, self._variables)
        else:
            self._loader = _foreign_loader(uri)

    def server_section(self, name: str) -> ServerSection:
        """Read the section of a server; an empty name is that of the URI, or ``main``."""
        name = name or self._uri.fragment or "main"
        if self.path:
            return from_file(self.path, name, self._variables, documents=self._documents)
        origin = Origin(Source.FILE, str(self._uri), 0, f"server:{name}")
        values = dict(self._loader.get_settings(f"server:{name}", self._variables))
        use = values.pop("use", "egg:waitressd")
        if not is_ours(use):
            raise ConfigError([Given(use, origin).problem("use", ANOTHER_SERVER)])
        return ServerSection({key: Given(value, origin) for key, value in values.items()})

    def logging_problems(self) -> list[Problem]:
        """Find what keeps logging from being set up."""
        return list(logging_problems(self._documents.loader(self.path, self._variables))) if self.path else []

    def setup_logging(self) -> None:
        """Configure logging from the file, with variables that win over ``[DEFAULT]``. Raises ConfigError."""
        if not self.path:
            self._loader.setup_logging(self._variables)
            return
        problems = self.logging_problems()
        if problems:
            raise ConfigError(problems)
        parser = self._documents.loader(self.path, self._variables).parser
        if not parser.has_section("loggers"):
            basicConfig()
            return
        try:
            fileConfig(parser, disable_existing_loggers=False)
        except Exception as error:  # border: handlers and formatters are anybody's classes
            section, key = parser.last_read
            place = self._documents.read(self.path).origin(section, key).place
            text = f"logging cannot be set up: {type(error).__name__}: {shorten(str(error.__cause__ or error))}"
            raise ConfigError(
                [Problem(place, f"{key} = {shorten(parser.get(section, key, raw=True))}", text)]
            ) from None

    def load_application(self, name: str) -> Any:  # noqa: ANN401 - what a factory returns is checked by the caller
        """Build the application. Raises ConfigError for what the loader finds, else what the application raises."""
        name = name or self._uri.fragment or "main"
        try:
            if not self.path:
                return self._loader.get_wsgi_app(name, self._variables)
            return self._documents.loader(self.path, self._variables).get_app(name, global_conf=self._variables)
        except Exception as error:  # border: the application's own errors pass through
            if not _raised_by_loader(error):
                raise
            document = self._documents.read(self.path) if self.path else IniDocument(str(self._uri))
            raise application_trouble(document, name, error) from None


def _foreign_loader(uri: str) -> Any:  # noqa: ANN401 - plaster has no types
    scheme = str(plaster.parse_uri(uri).scheme)
    if scheme.startswith("file+") and not plaster.find_loaders(scheme, protocols=["wsgi"]):
        text = f"nothing can read a .{scheme.removeprefix('file+')} file; expected a file that ends in .ini"
        if hint := reference_hint(uri):
            text = f"expected an ini file or MODULE:OBJECT{hint}"
        raise ConfigError([Problem("command line", uri, text)])
    try:
        return plaster.get_loader(uri, protocols=["wsgi"])
    except (plaster.LoaderNotFound, plaster.MultipleLoadersFound) as error:
        raise ConfigError([Problem("command line", uri, shorten(str(error)))]) from None


def _raised_by_loader(error: Exception) -> bool:
    """Tell an error about the file from one of the application; code of the application has frames of its own."""
    names = [str(frame.f_globals.get("__name__")) for frame, _ in walk_tb(error.__traceback__)]
    if isinstance(error, RecursionError):  # whichever function was called last, PasteDeploy went round in a circle
        return names.count("paste.deploy.loadwsgi") > len(names) // 4
    if isinstance(error, SyntaxError) or any(name.partition(".")[0] not in _LOADERS for name in names):
        return False
    return names[-1].startswith(("paste.deploy", "configparser", "importlib.metadata", IniLoader.__module__))
