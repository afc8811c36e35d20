"""Sections of ini files as PasteDeploy understands them, with where each value came from.

`pserve` and `loadserver` hand over dictionaries; then the section they came from is found again (`from_factory`). Our
own command reads the file itself (`from_file`), so that a section that names waitress need not have it installed.
"""

import configparser
import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from waitressd.config.adjustments import ALIASES, SETTINGS, Adjustments
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.expand import expand
from waitressd.config.inidocument import GLOBAL_SECTION, IniDocument
from waitressd.config.inierrors import interpolation_trouble, missing_section
from waitressd.config.iniloader import Documents, IniLoader, config_target, scheme_of
from waitressd.config.origins import Origin, Source, display_path
from waitressd.config.reading import NOT_SETTINGS, Given, Hidden
from waitressd.config.requestlogs import LogSection
from waitressd.kinds import BadValueError, boolean
from waitressd.wording import assignment_hint, did_you_mean

_LOG_PREFIX: Final = "request_log:"
ANOTHER_SERVER: Final = "this names another server; waitressd runs sections that say egg:waitressd or egg:waitress"
_PLONE_FAST_LISTEN: Final = "fast-listen"
_ADDRESSES: Final = ("listen", "unix_socket", "host")  # one of the command line replaces all of the file's


@dataclass(frozen=True, slots=True)
class ServerSection:
    """What a ``[server:NAME]`` section says, with the sections that it uses and that belong to it."""

    given: Mapping[str, Given] = field(default_factory=dict)
    logs: Mapping[str, LogSection] = field(default_factory=dict)
    hidden: tuple[Hidden, ...] = ()
    paths: tuple[str, ...] = ()
    """The files that were read."""
    global_conf: Mapping[str, str] = field(default_factory=dict)
    """What factories get besides their own options: ``here``, ``__file__``, ``[DEFAULT]`` and variables."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the section besides its values."""

    def check(self, overrides: Mapping[str, Given] | None = None) -> Adjustments:
        """Check every value; `overrides` (from the command line) win. Raises ConfigError with every problem."""
        given = dict(self.given)
        overrides = dict(overrides or {})
        if "port" in overrides and "listen" in given and not {"host", "listen"} & overrides.keys():
            text = f"{given['listen'].origin.place} says listen = {shorten(given['listen'].value)}"
            text += f"; write --listen=HOST:{overrides['port'].value}"
            overrides["port"] = replace(overrides["port"], refusal=text)
            del given["listen"]
        for name in overrides:
            for replaced in ("listen", "host", "port", "unix_socket") if name in _ADDRESSES else ():
                given.pop(replaced, None)
            given = {key: item for key, item in given.items() if ALIASES.get(key, key) != name}
        try:
            adjustments = Adjustments.from_given({**given, **overrides}, self.logs)
        except ConfigError as error:
            raise ConfigError([*self.problems, *error.problems]) from None
        if self.problems:
            raise ConfigError(self.problems)
        return adjustments


# ---- the way in from a factory, and from our own command -----------------------------------------------------------


def from_factory(
    global_conf: Mapping[str, str], local_conf: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> ServerSection:
    """Find the section that a server factory was called for, and where each of its values is."""
    documents = Documents(variables_win=False)
    path = str(global_conf.get("__file__") or "")
    walk = _find_walk(documents, path, global_conf, local_conf)
    unknown = Origin(Source.FILE, path)
    known = walk.given if walk else {}
    given = {name: Given(value, known[name].origin if name in known else unknown) for name, value in local_conf.items()}
    return _section(documents, walk, given, global_conf, environ)


def _find_walk(
    documents: Documents, path: str, global_conf: Mapping[str, str], local_conf: Mapping[str, str]
) -> "_Walk | None":
    """Choose the server section whose values, with those it uses, are the ones that were handed over.

    The loaders do not say which section they read. Between twins ``main`` is the likely one.
    """
    variables = {name: value for name, value in global_conf.items() if name not in ("here", "__file__")}
    try:
        loader = documents.loader(path, variables)
    except ConfigError:
        return None
    fitting: list[tuple[int, bool, _Walk]] = []
    for section in loader.document.server_sections():
        name = section.partition(":")[2].strip()
        walk = _Walk()
        with contextlib.suppress(ConfigError):  # a section that PasteDeploy could not have read
            walk.section(loader, name)
            if walk.given.keys() - NOT_SETTINGS == local_conf.keys() - NOT_SETTINGS:
                differing = sum(item.value != local_conf.get(key, item.value) for key, item in walk.given.items())
                fitting.append((differing, name != "main", walk))
    return min(fitting, key=lambda found: found[:2])[2] if fitting else None


def from_file(
    path: str,
    name: str,
    variables: Mapping[str, str],
    environ: Mapping[str, str] = os.environ,
    documents: Documents | None = None,
) -> ServerSection:
    """Read ``[server:NAME]`` of a file, following ``use`` as PasteDeploy does, without loading any distribution.

    Raises ConfigError if the file cannot be followed, or names another server; the rest is left to `check`.
    """
    documents = documents or Documents()
    walk = _Walk()
    walk.section(documents.loader(path, variables), name)
    problems = walk.check_server()
    section = _section(documents, walk, walk.given, walk.global_conf, environ)
    return replace(section, problems=problems)


def _section(
    documents: Documents,
    walk: "_Walk | None",
    given: Mapping[str, Given],
    global_conf: Mapping[str, str],
    environ: Mapping[str, str],
) -> ServerSection:
    """Put together what a walk has found, with values from the environment."""
    hidden = tuple(walk.hidden(given)) if walk else ()
    logs: dict[str, LogSection] = {}
    if walk and "request_log" in given:
        for loader, _ in walk.links:  # those of the nearer file win
            logs = {**_log_sections(loader, environ), **logs}
    expanded = {name: _expanded(item, environ) for name, item in given.items()}
    return ServerSection(_spelled_out(expanded), logs, hidden, documents.paths, global_conf)


def _spelled_out(given: Mapping[str, Given]) -> Mapping[str, Given]:
    """Write the ``fast-listen`` of Plone's recipe, which holds an address, as the two settings that it means."""
    item = given.get(_PLONE_FAST_LISTEN)
    if item is None or "fast_listen" in given:
        return given
    rest = {name: other for name, other in given.items() if name != _PLONE_FAST_LISTEN}
    try:
        boolean().parse(item.value)
    except BadValueError:
        return given if "listen" in given else {**rest, "listen": item, "fast_listen": replace(item, value="true")}
    return {**rest, "fast_listen": item}


def _expanded(item: Given, environ: Mapping[str, str]) -> Given:
    if item.refusal:
        return item
    try:
        value, names = expand(str(item.value), environ)
    except BadValueError as bad:
        return replace(item, refusal=str(bad))
    return Given(value, replace(item.origin, variables=names))


def _log_sections(loader: IniLoader, environ: Mapping[str, str]) -> dict[str, LogSection]:
    document = loader.document
    found = {}
    for section, entries in document.sections.items():
        if not section.startswith(_LOG_PREFIX):
            continue
        name = section.removeprefix(_LOG_PREFIX).strip()
        items = {key: _expanded(loader.value(section, key), environ) for key in entries}
        problems = [item.problem(key, item.refusal) for key, item in items.items() if item.refusal]
        origins = {key: document.origin(section, key) for key in ("", *items)}
        values = {key: str(item.value) for key, item in items.items()}
        found[name] = LogSection(name, values, origins, tuple(problems))
    return found


# ---- one section and what it uses ----------------------------------------------------------------------------------


class _Walk:
    """From a server section along its ``use`` to the server that it names, collecting values on the way."""

    def __init__(self) -> None:
        self.links: list[tuple[IniLoader, str]] = []
        self.given: dict[str, Given] = {}
        self.global_conf: dict[str, str] = {}
        self._use: Given | None = None
        self._dropped: dict[str, Given] = {}  # by PasteDeploy, because something global has the same name

    def section(self, loader: IniLoader, name: str) -> None:
        """Read one section and what it uses; what is already known is nearer and wins."""
        document = loader.document
        try:
            section = loader.server(name)
        except LookupError:
            raise self._no_section(document, name) from None
        if (document.path, section) in [(other.document.path, known) for other, known in self.links]:
            origin = document.origin(section, "use")
            raise ConfigError([Problem(origin.place, "", "the sections use each other in a circle")])
        self.links.append((loader, section))
        self._read(loader, section)
        if self._use and self._use.value:
            self._follow(loader, str(self._use.value))

    def _no_section(self, document: IniDocument, name: str) -> ConfigError:
        if not self._use:
            return missing_section(document, ("server",), name)
        text = f"there is no section [server:{name}]"
        if self._use.value == name:
            text += f"; did you mean use = egg:{name}?"
        elif document.path != self.links[-1][0].document.path:
            text += f" in {display_path(document.path)}"
        return ConfigError([self._use.problem("use", text)])

    def _read(self, loader: IniLoader, section: str) -> None:
        document = loader.document
        try:
            defaults = loader.parser.defaults()
        except configparser.InterpolationError as error:
            origin = document.origin(GLOBAL_SECTION, error.option)
            raise ConfigError([Problem(origin.place, error.option, interpolation_trouble(error))]) from None
        self.global_conf = {**defaults, **self.global_conf}
        self._use = None
        fetched = []
        for option in document.sections[section]:
            item = loader.value(section, option)
            if option.startswith("set "):
                self.global_conf[option[4:].strip()] = str(item.value)
            elif option.startswith("get "):
                fetched.append((option[4:].strip(), item))
            elif option == "use":
                self._use = item
            elif option == "require":
                _check_required(item)
            elif option in defaults:
                self._dropped.setdefault(option, item)
            else:
                self.given.setdefault(option, item)
        for name, item in fetched:
            self.given.setdefault(name, self._fetched(item))

    def _fetched(self, item: Given) -> Given:
        value = self.global_conf.get(str(item.value))
        if value is None:
            return replace(item, refusal=f"[DEFAULT] has no {shorten(item.value)}, and no variable has this name")
        return replace(item, value=value)

    def _follow(self, loader: IniLoader, use: str) -> None:
        """Go on to what a ``use`` names: a section, one of another file, or at last a server."""
        assert self._use is not None
        scheme = scheme_of(use)
        if not scheme:
            self.section(loader, use)
        elif scheme == "config":
            path, name = config_target(use, str(Path(loader.document.path).parent))
            if not Path(path).is_file():
                text = f"there is no file {display_path(path)}{assignment_hint(self._use.value)}"
                raise ConfigError([self._use.problem("use", text)])
            self._follow(loader.used(path, self.global_conf), name)
        else:
            self._use = replace(self._use, value=use)

    def hidden(self, given: Mapping[str, Given]) -> Iterator[Hidden]:
        """Find the settings that PasteDeploy drops without a word."""
        for name, item in self._dropped.items():
            if name in given or ALIASES.get(name, name) not in SETTINGS:
                continue
            documents = [loader.document for loader, _ in self.links]
            places = [
                document.origin(GLOBAL_SECTION, name).place
                for document in documents
                if name in document.sections.get(GLOBAL_SECTION, {})
            ]
            by = places[0] if places else f"the variable {name}={shorten(self.global_conf[name])}"
            yield Hidden(name, shorten(item.value), item.origin.place, by)

    def check_server(self) -> tuple[Problem, ...]:
        """Judge which server the section names.

        Raises ConfigError if that is plainly another one: its values are not ours to judge.
        """
        loader, section = self.links[-1]
        named: dict[str, Given] = {key: self.given[key] for key in sorted(NOT_SETTINGS) if key in self.given}
        if self._use and self._use.value:
            named = {"use": self._use}
        if not named:
            text = "the section names no server; write use = egg:waitressd"
            place = loader.document.origin(section).place
            return (Problem(place, "", text),)
        problems = []
        for key, item in named.items():
            value = str(item.value)
            if item.refusal or not is_ours(value):
                name = value.rpartition(":")[2].partition("#")[0].strip().lower()
                meant = did_you_mean(f"egg:{name}", ["egg:waitressd"], 0.85)
                indented = assignment_hint(value)
                text = (item.refusal or f"{ANOTHER_SERVER}{meant}") + indented
                problems.append(item.problem(key, text))
                if not (item.refusal or meant or indented):
                    raise ConfigError(problems)
        return tuple(problems)


def is_ours(use: str) -> bool:
    """Whether a ``use`` or ``paste.server_...`` value names this server, or the one whose successor it is."""
    scheme, colon, rest = use.strip().partition(":")
    if colon and scheme.lower() == "egg":
        name, _, entry = rest.partition("#")
        return name.strip().lower() in ("waitressd", "waitress") and entry.strip() in ("", "main")
    module = rest if scheme.lower() == "call" else use
    return module.strip().split(":")[0].split(".")[0] in ("waitressd", "waitress")


def _check_required(item: Given) -> None:
    for name in str(item.value).split():
        try:
            distribution(name)
        except PackageNotFoundError:
            text = f"the distribution {name} is not installed"
            raise ConfigError([item.problem("require", text)]) from None
