"""What is wrong with an ini file as such, in sentences with file and line."""

import configparser
import re
from ast import literal_eval
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, distributions
from typing import Final

from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.hints import did_you_mean
from waitressd.config.inidocument import IniDocument
from waitressd.config.origins import Origin, Source, display_path

APPLICATIONS: Final = ("app", "application", "composite", "composit", "pipeline", "filter-app")
_ENTRY_POINT: Final = re.compile(r"Entry point '([^']*)' not found in egg '([^']*)'")
_NO_SECTION: Final = re.compile(r"No section '(.*?)' \(prefixed by '([^)]*)'\)")
_BOM: Final = "\ufeff"


def unreadable(path: str, error: Exception) -> ConfigError:
    """Say why a file could not be read or parsed."""
    return ConfigError(Problem(Origin(Source.FILE, path, line).place, "", text) for line, text in _troubles(error))


def _troubles(error: Exception) -> list[tuple[int, str]]:
    """List what is wrong, each with its line; line 0 is the file as a whole."""
    match error:
        case OSError() | UnicodeDecodeError():
            return [_not_read(error)]
        case configparser.DuplicateOptionError():
            return [(error.lineno or 0, f"{error.option} stands twice in [{error.section}]; keep one of them")]
        case configparser.DuplicateSectionError():
            return [(error.lineno or 0, f"the section [{error.section}] stands twice in this file; join them")]
        case configparser.MissingSectionHeaderError():
            text = f"{shorten(error.line)}: expected a section such as [server:main] before the first key"
            if error.line.startswith(_BOM):
                text = "the file starts with a byte order mark; save it as UTF-8 without one"
            return [(error.lineno, text)]
        case configparser.ParsingError():
            return [(line, f"{_unquoted(text)}: expected key = value") for line, text in error.errors]
        case _:
            return [(0, shorten(str(error)))]


def _not_read(error: OSError | UnicodeDecodeError) -> tuple[int, str]:
    if isinstance(error, FileNotFoundError):
        return 0, "there is no such file"
    if isinstance(error, UnicodeDecodeError):
        line = error.object.count(b"\n", 0, error.start) + 1
        return line, f"this line is not {error.encoding.upper()}; save the file as UTF-8"
    return 0, f"the file cannot be read: {(error.strerror or str(error)).lower()}"


def _unquoted(text: str) -> str:
    """Undo the quoting that the parser's errors have."""
    return shorten(str(literal_eval(text)) if text[:1] in "'\"" else text)


def interpolation_trouble(error: configparser.Error) -> str:
    """Say why the ``%(name)s`` in a value could not be replaced."""
    match error:
        case configparser.InterpolationMissingOptionError():
            name = error.reference
            if name.startswith("ENV_"):
                return f"%({name})s does not exist in this format; write ${{{name[4:]}}} or ${{{name[4:]}:-default}}"
            return (
                f"nothing gives a value for %({name})s; add {name}=VALUE to the command line, "
                f"or write {name} = VALUE in [DEFAULT]"
            )
        case configparser.InterpolationDepthError():
            return "its %(name)s refer to each other in a circle"
        case _:
            return "a single % has a meaning here; write %% for a percent sign, %(name)s for a value"


def missing_section(document: IniDocument, prefixes: Collection[str], name: str) -> ConfigError:
    """Say that a section is missing, and what there is."""
    wanted = f"{next(iter(prefixes))}:{name}"
    present = [section for section in document.sections if section.partition(":")[0].strip().lower() in prefixes]
    text = f"there is no section [{wanted}]"
    if present:
        text += f"; the file has {', '.join(f'[{section}]' for section in present)}"
    if any(section.lower() == wanted for section in present):
        text += ", and the case matters"
    return ConfigError([Problem(display_path(document.path), "", text)])


def application_trouble(document: IniDocument, name: str, error: Exception) -> ConfigError:
    """Say what PasteDeploy found wrong with the sections of an application."""
    message = str(error)
    if isinstance(error, configparser.InterpolationError):
        origin = document.origin(error.section, error.option)
        return ConfigError([Problem(origin.place, error.option, interpolation_trouble(error))])
    if isinstance(error, RecursionError):
        return ConfigError([Problem(display_path(document.path), "", "the sections use each other in a circle")])
    if message.startswith(f"No section '{name}' "):
        return missing_section(document, APPLICATIONS, name)
    if message.startswith("No loader given in section "):
        section = message.removeprefix("No loader given in section ").strip("'")
        text = "the section names no application; write use = egg:DISTRIBUTION"
        return ConfigError([Problem(document.origin(section).place, "", text)])
    if match := _NO_SECTION.match(message):
        return ConfigError([_missing_part(document, match[1], match[2])])
    return ConfigError([_wrong_use(document, name, error)])


def _missing_part(document: IniDocument, wanted: str, prefixes: str) -> Problem:
    """Say which key of a pipeline, a composite or another section names a section that is not there."""
    text = f"there is no section [{prefixes.partition(chr(39))[0]}:{wanted}]"
    for section, entries in document.sections.items():
        for key, entry in entries.items():
            if wanted in entry.value.split():
                return Problem(document.origin(section, key).place, f"{key} = {shorten(entry.value)}", text)
    return Problem(display_path(document.path), "", text)


def _wrong_use(document: IniDocument, name: str, error: Exception) -> Problem:
    text, wanted = shorten(str(error)), ""
    if isinstance(error, PackageNotFoundError):
        text, wanted = f"the distribution {error.name} is not installed", str(error.name)
        text += did_you_mean(wanted, {str(found.metadata["Name"]) for found in distributions()}, 0.8)
    elif match := _ENTRY_POINT.match(str(error)):
        text, wanted = f"the distribution {match[2]} has no application named {match[1]}", match[2]
    for section, entries in document.sections.items():
        is_app = section.partition(":")[0].strip() in APPLICATIONS
        if is_app and "use" in entries and (wanted or section == f"app:{name}") and wanted in entries["use"].value:
            return Problem(document.origin(section, "use").place, f"use = {shorten(entries['use'].value)}", text)
    place = display_path(document.path)
    return Problem(f"{place} [app:{name}]" if document.sections else place, "", text)
