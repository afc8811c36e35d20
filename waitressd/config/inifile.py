"""Sections of ini files as PasteDeploy understands them, with where each value came from.

The only module of `config` that reads files. `pserve` and `loadserver` hand over dictionaries; then the section they
came from is found again (`from_factory`). Our own command reads the file itself (`from_file`), so that variables win
over ``[DEFAULT]`` and a section that names waitress need not have it installed.
"""

import configparser
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from paste.deploy.loadwsgi import SERVER, ConfigLoader

from waitressd.config.adjustments import ALIASES, SETTINGS, Adjustments
from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.expand import expand
from waitressd.config.hints import did_you_mean
from waitressd.config.inierrors import interpolation_trouble, missing_section, unreadable
from waitressd.config.inilines import GLOBAL_SECTION, Chain, IniLines, follow, relative_path, scan
from waitressd.config.origins import Origin, Source, display_path
from waitressd.config.reading import Given, Hidden
from waitressd.config.requestlogs import LogSection
from waitressd.config.settings import BadValueError

_LOG_PREFIX: Final = "request_log:"
ANOTHER_SERVER: Final = "this names another server; waitressd runs sections that say egg:waitressd or egg:waitress"
_ADDRESSES: Final = ("listen", "unix_socket", "host")  # one of the command line replaces all of the file's
_SERVER_KEYS: Final[tuple[str, ...]] = ("paste.server_factory", "paste.server_runner")


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


class Files:
    """The lines of each file, scanned once."""

    def __init__(self) -> None:
        self._known: dict[str, IniLines | None] = {}

    def lines_of(self, path: str) -> IniLines | None:
        """Scan a file; None where it cannot be read."""
        if path not in self._known:
            try:
                with Path(path).open() as file:  # in the encoding of the locale, as PasteDeploy does
                    self._known[path] = scan(path, file)
            except (OSError, UnicodeDecodeError):
                self._known[path] = None
        return self._known[path]

    @property
    def paths(self) -> tuple[str, ...]:
        """The files that could be read."""
        return tuple(path for path, lines in self._known.items() if lines)


# ---- what a server factory was called with -------------------------------------------------------------------------


def from_factory(
    global_conf: Mapping[str, str], local_conf: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> ServerSection:
    """Find the section that a server factory was called for, and where each of its values stands."""
    files = Files()
    path = str(global_conf.get("__file__") or "")
    chain = _find_chain(files, path, global_conf, local_conf)
    entries = chain.entries() if chain else {}
    unknown = Origin(Source.FILE, path)
    given = {
        name: _expanded(value, entries[name][1] if name in entries else unknown, environ)
        for name, value in local_conf.items()
    }
    hidden = tuple(_hidden(chain, local_conf, global_conf)) if chain else ()
    paths = dict.fromkeys([path, *chain.paths] if chain else [path])
    logs = _all_log_sections(paths, global_conf, files, environ) if "request_log" in local_conf else {}
    return ServerSection(given, logs, hidden, files.paths, global_conf)


def _find_chain(files: Files, path: str, global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> Chain | None:
    """Choose the server section whose keys, with those it uses, are the ones that were handed over.

    The loaders do not say which section they read. Keys are compared first, values where they need no interpolation
    next, and between twins ``main`` is the likely one.
    """
    lines = files.lines_of(path) if path else None
    if lines is None:
        return None
    best: tuple[tuple[int, int, bool], Chain] | None = None
    for section in lines.server_sections():
        chain = follow(files.lines_of, path, section)
        entries = chain.entries()
        # PasteDeploy keeps the names of factories to itself, unless a `use` made them superfluous.
        visible = {
            name for name in entries if name in local_conf or (name not in global_conf and name not in _SERVER_KEYS)
        }
        differing = sum(
            1 for name, value in local_conf.items() if name in entries and not _may_be(entries[name][0].value, value)
        )
        rank = (len(visible ^ local_conf.keys()), differing, section.partition(":")[2].strip() != "main")
        if best is None or rank < best[0]:
            best = (rank, chain)
    return best[1] if best and best[0][0] == 0 else None


def _may_be(raw: str, value: str) -> bool:
    return "%" in raw or raw.split() == value.split()


def _hidden(chain: Chain, local_conf: Mapping[str, Any], global_conf: Mapping[str, str]) -> Iterator[Hidden]:
    for name, (entry, origin) in chain.entries().items():
        if name in local_conf or name not in global_conf or ALIASES.get(name, name) not in SETTINGS:
            continue
        places = [
            lines.origin(GLOBAL_SECTION, name).place
            for lines, _ in chain.links
            if name in lines.sections.get(GLOBAL_SECTION, {})
        ]
        by = places[0] if places else f"the variable {name}={shorten(global_conf[name])}"
        yield Hidden(name, shorten(entry.value), origin.place, by)


def _expanded(text: str, origin: Origin, environ: Mapping[str, str]) -> Given:
    try:
        value, names = expand(text, environ)
    except BadValueError as bad:
        return Given(text, origin, str(bad))
    return Given(value, replace(origin, variables=names))


def _all_log_sections(
    paths: Iterable[str], variables: Mapping[str, str], files: Files, environ: Mapping[str, str]
) -> dict[str, LogSection]:
    """Read the request logs of every file that a server section uses; those of the nearer file win."""
    known: dict[str, LogSection] = {}
    elsewhere = {name: value for name, value in variables.items() if name not in ("here", "__file__")}
    for path in paths:
        known = {**_log_sections(path, elsewhere, files, environ), **known}
    return known


def _log_sections(
    path: str, variables: Mapping[str, str], files: Files, environ: Mapping[str, str]
) -> dict[str, LogSection]:
    lines = files.lines_of(path) if path else None
    if lines is None:
        return {}
    parser = open_ini(path, variables).parser
    found = {}
    for section in lines.sections:
        if not section.startswith(_LOG_PREFIX):
            continue
        name = section.removeprefix(_LOG_PREFIX).strip()
        values = {}
        problems = []
        for key in lines.sections[section]:
            item = _interpolated(parser, section, key, lines.origin(section, key), environ)
            values[key] = str(item.value)
            if item.refusal:
                problems.append(Problem(item.origin.place, f"{key} = {shorten(item.value)}", item.refusal))
        origins = {key: lines.origin(section, key) for key in ("", *values)}
        found[name] = LogSection(name, values, origins, tuple(problems))
    return found


def _interpolated(parser: Any, section: str, key: str, origin: Origin, environ: Mapping[str, str]) -> Given:  # noqa: ANN401 - PasteDeploy has no types
    try:
        return _expanded(parser.get(section, key), origin, environ)
    except configparser.InterpolationError as error:
        return Given(parser.get(section, key, raw=True), origin, interpolation_trouble(error))


# ---- a file that our own command reads -----------------------------------------------------------------------------


def open_ini(path: str, variables: Mapping[str, str]) -> Any:  # noqa: ANN401 - PasteDeploy has no types
    """Parse a file, with variables that win over ``[DEFAULT]``. Raises ConfigError."""
    try:
        # PasteDeploy resolves what the file uses beside it, but not beside a file that has no folder in its name.
        loader = ConfigLoader(str(Path(path).absolute()))
    except UnicodeDecodeError as error:
        raise unreadable(path, _located(path, error)) from None
    except (OSError, configparser.Error) as error:
        raise unreadable(path, error) from None
    loader.update_defaults(variables, overwrite=True)
    return loader


def _located(path: str, error: UnicodeDecodeError) -> UnicodeDecodeError:
    """Find the place in the whole file; the error itself counts from wherever the parser has begun to read."""
    try:
        Path(path).read_bytes().decode(error.encoding)
    except UnicodeDecodeError as whole:
        return whole
    return error


def from_file(
    path: str, name: str, variables: Mapping[str, str], environ: Mapping[str, str] = os.environ
) -> ServerSection:
    """Read ``[server:NAME]`` of a file, following ``use`` as PasteDeploy does, without loading any distribution.

    Raises ConfigError where the file cannot be followed, or names another server; the rest is left to `check`.
    """
    files = Files()
    walk = _Walk(files, variables, environ)
    walk.section(open_ini(path, variables), name)
    problems = walk.check_server()
    chain = Chain(tuple(walk.links))
    hidden = tuple(_hidden(chain, walk.given, walk.global_conf))
    logs = _all_log_sections(chain.paths, walk.global_conf, files, environ) if "request_log" in walk.given else {}
    return ServerSection(walk.given, logs, hidden, files.paths, walk.global_conf, problems)


class _Walk:
    """From a server section along its ``use`` to the server that it names, collecting values on the way."""

    def __init__(self, files: Files, variables: Mapping[str, str], environ: Mapping[str, str]) -> None:
        self._files = files
        self._variables = variables
        self._environ = environ
        self.links: list[tuple[IniLines, str]] = []
        self.given: dict[str, Given] = {}
        self.global_conf: dict[str, str] = {}
        self.use: Given | None = None

    def section(self, loader: Any, name: str) -> None:  # noqa: ANN401 - PasteDeploy has no types
        """Read one section and what it uses; what is already known is nearer and wins."""
        path = str(Path(loader.filename).absolute())
        lines = self._files.lines_of(path)
        if lines is None:
            raise unreadable(path, FileNotFoundError())  # it was there a moment ago
        try:
            section = loader.find_config_section(SERVER, name=name)
        except LookupError:
            raise self._no_section(lines, name) from None
        if (lines, section) in self.links:
            origin = lines.origin(section, "use")
            raise ConfigError([Problem(origin.place, "", "the sections use each other in a circle")])
        self.links.append((lines, section))
        self._read(loader.parser, lines, section)
        self._go_on(loader, lines)

    def _no_section(self, lines: IniLines, name: str) -> ConfigError:
        if not self.use:
            return missing_section(lines, ("server",), name)
        text = f"there is no section [server:{name}]"
        if self.use.value == name:
            text += f"; did you mean use = egg:{name}?"
        elif lines.path != self.links[-1][0].path:
            text += f" in {display_path(lines.path)}"
        return ConfigError([Problem(self.use.origin.place, f"use = {self.use.value}", text)])

    def _read(self, parser: Any, lines: IniLines, section: str) -> None:  # noqa: ANN401 - PasteDeploy has no types
        try:
            defaults = parser.defaults()
        except configparser.InterpolationError as error:
            origin = lines.origin(GLOBAL_SECTION, error.option)
            raise ConfigError([Problem(origin.place, error.option, interpolation_trouble(error))]) from None
        self.global_conf = {**defaults, **self.global_conf}
        self.use = None
        fetched = []
        for option in lines.sections[section]:
            item = _interpolated(parser, section, option, lines.origin(section, option), self._environ)
            if option.startswith("set "):
                self.global_conf[option[4:].strip()] = str(item.value)
            elif option.startswith("get "):
                fetched.append((option[4:].strip(), item))
            elif option == "use":
                self.use = item
            elif option == "require":
                _check_required(item)
            elif option not in defaults:
                self.given.setdefault(option, item)
        for name, item in fetched:
            self.given.setdefault(name, self._fetched(item))

    def _fetched(self, item: Given) -> Given:
        value = self.global_conf.get(str(item.value))
        if value is None:
            return replace(item, refusal=f"[DEFAULT] has no {shorten(item.value)}, and no variable has this name")
        return _expanded(value, item.origin, self._environ)

    def _go_on(self, loader: Any, lines: IniLines) -> None:  # noqa: ANN401 - PasteDeploy has no types
        use = str(self.use.value).strip() if self.use else ""
        if not use or use.startswith(("egg:", "call:")):
            return
        if not use.startswith("config:"):
            self.section(loader, use)
            return
        target, _, name = use[7:].partition("#")
        path = relative_path(lines.path, target)
        if self.use and not Path(path).is_file():
            raise ConfigError(
                [Problem(self.use.origin.place, f"use = {use}", f"there is no file {display_path(path)}")]
            )
        base = open_ini(path, self._variables)
        inherited = {key: value for key, value in self.global_conf.items() if key not in ("here", "__file__")}
        base.update_defaults(inherited, overwrite=False)
        self.section(base, name or "main")

    def check_server(self) -> tuple[Problem, ...]:
        """Judge which server the section names.

        Raises ConfigError where that is plainly another one: its values are not ours to judge.
        """
        lines, section = self.links[-1]
        named: dict[str, Given] = {key: self.given[key] for key in _SERVER_KEYS if key in self.given}
        if self.use:
            named = {"use": self.use}
        if not named:
            text = "the section names no server; write use = egg:waitressd"
            return (Problem(lines.origin(section).place, "", text),)
        problems = []
        for key, item in named.items():
            value = str(item.value)
            if item.refusal or not is_ours(value):
                meant = _misspelt(value)
                text = item.refusal or f"{ANOTHER_SERVER}{meant}"
                problems.append(Problem(item.origin.place, f"{key} = {shorten(value)}", text))
                if not (item.refusal or meant):
                    raise ConfigError(problems)
        return tuple(problems)


def _misspelt(use: str) -> str:
    name = use.rpartition(":")[2].partition("#")[0].strip().lower()
    return did_you_mean(f"egg:{name}", ["egg:waitressd"], 0.85)


def is_ours(use: str) -> bool:
    """Whether a ``use`` or ``paste.server_...`` value names this server, or the one whose successor it is."""
    scheme, colon, rest = use.strip().partition(":")
    if colon and scheme.lower() == "egg":
        name, _, entry = rest.partition("#")
        return name.strip().lower() in ("waitressd", "waitress") and entry.strip() in ("", "main")
    module = rest if scheme == "call" else use
    return module.strip().split(":")[0].split(".")[0] in ("waitressd", "waitress")


def _check_required(item: Given) -> None:
    for name in str(item.value).split():
        try:
            distribution(name)
        except PackageNotFoundError:
            text = f"the distribution {name} is not installed"
            raise ConfigError([Problem(item.origin.place, f"require = {shorten(item.value)}", text)]) from None
