"""Applications that are named by ``MODULE:OBJECT``: on the command line, and in the section of an ini file."""

import importlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.expand import expand
from waitressd.config.hints import reference_hint
from waitressd.config.origins import COMMAND_LINE, display_path
from waitressd.kinds import BadValueError, boolean
from waitressd.wording import did_you_mean
from waitressd.wsgi.application import trouble_with

_OPTIONS: Final = ("application", "call", "pythonpath", "environment")


class StartError(Exception):
    """The server cannot start, for a reason that one sentence explains."""


def import_application(reference: str, *, call: bool, place: str = COMMAND_LINE.place) -> Any:  # noqa: ANN401 - whether it is one is checked later
    """Import ``MODULE:OBJECT``. Raises StartError.

    Raises ConfigError, which names the `place`, for what is no reference.
    """
    module_name, _, path = reference.partition(":")
    if not module_name or not path:
        raise ConfigError([Problem(place, reference, f"expected MODULE:OBJECT{reference_hint(reference)}")])
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            text = f"{reference}: there is no module {error.name} (looked in {Path.cwd()} and sys.path)"
            raise StartError(f"{text}{reference_hint(reference)}") from None
        raise
    for name in path.removesuffix("()").split("."):
        if not hasattr(found, name):
            owner = getattr(found, "__name__", type(found).__name__)
            raise StartError(f"{reference}: {owner} has no {name}{did_you_mean(name, dir(found))}")
        found = getattr(found, name)
    return found() if call or path.endswith("()") else found


class _Section:
    """The options of a section that names an application, and where they are."""

    def __init__(self, path: str, options: Mapping[str, str]) -> None:
        self.place = display_path(path or "the application's section")
        self._options = options

    def refusal(self, name: str, text: str) -> ConfigError:
        """Say what is wrong with an option."""
        value = self._options.get(name)
        return ConfigError([Problem(self.place, "" if value is None else f"{name} = {shorten(value)}", text)])

    def text(self, name: str) -> str:
        """Return the value of an option, empty if it is not given. Raises ConfigError."""
        try:
            return expand(self._options.get(name, ""), os.environ)[0]
        except BadValueError as bad:
            raise self.refusal(name, str(bad)) from None

    def flag(self, name: str) -> bool:
        """Return the value of a boolean option. Raises ConfigError."""
        try:
            return boolean().parse(self.text(name) or "false")
        except BadValueError:
            raise self.refusal(name, f"expected {boolean().words}") from None

    def lines(self, name: str) -> list[str]:
        """Return the lines of an option that are not empty. Raises ConfigError."""
        return [line.strip() for line in self.text(name).splitlines() if line.strip()]


def wsgi(global_conf: Mapping[str, str], **options: str) -> Any:  # noqa: ANN401 - as above
    """Import the application that a section names (``paste.app_factory``): ``use = egg:waitressd#wsgi``.

    ``application = MODULE:OBJECT``; ``call = true`` if OBJECT is a factory; ``pythonpath``: folders to look in, one a
    line, before that of the ini file; ``environment``: lines NAME=VALUE for variables that are not set yet. ``${NAME}``
    is replaced from the environment as in the server's section. Raises ConfigError, or what the application raises.
    """
    section = _Section(str(global_conf.get("__file__", "")), options)
    for name in options:
        if name not in _OPTIONS:
            raise section.refusal(name, f"unknown option of egg:waitressd#wsgi{did_you_mean(name, _OPTIONS)}")
    reference, call = section.text("application"), section.flag("call")
    if not reference:
        raise section.refusal("application", "the section needs application = MODULE:OBJECT")
    for line in section.lines("environment"):
        name, equals, value = line.partition("=")
        if not equals:
            raise section.refusal("environment", f"{shorten(line)}: expected lines NAME=VALUE")
        os.environ.setdefault(name.strip(), value.strip())
    folders = dict.fromkeys([*section.lines("pythonpath"), str(global_conf.get("here", ""))])
    sys.path[:0] = [folder for folder in folders if folder and folder not in sys.path]
    try:
        found = import_application(reference, call=call, place=section.place)
    except StartError as error:
        raise section.refusal("application", str(error)) from None
    if trouble := trouble_with(found):
        raise section.refusal("application", trouble.replace("(option --call)", "(call = true)"))
    return found
