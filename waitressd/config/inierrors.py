"""What is wrong with an ini file as such, in sentences with file and line."""

import configparser
from importlib.metadata import PackageNotFoundError
from typing import Final

from waitressd.config.errors import ConfigError, Problem, shorten
from waitressd.config.inilines import IniLines
from waitressd.config.origins import Origin, Source, display_path

_APPLICATIONS: Final = ("app", "application", "composite", "composit", "pipeline", "filter-app")
_BOM: Final = "\ufeff"


def unreadable(path: str, error: Exception) -> ConfigError:
    """Say why a file could not be read or parsed."""
    line, text = _file_trouble(error)
    return ConfigError([Problem(Origin(Source.FILE, path, line).place, "", text)])


def _file_trouble(error: Exception) -> tuple[int, str]:  # noqa: PLR0911 - one return a kind of error is the plainest
    match error:
        case FileNotFoundError():
            return 0, "there is no such file"
        case OSError():
            return 0, f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        case UnicodeDecodeError():
            return 0, f"byte {error.start + 1} is not {error.encoding.upper()}; save the file as UTF-8"
        case configparser.DuplicateOptionError():
            return error.lineno or 0, f"{error.option} stands twice in [{error.section}]; keep one of them"
        case configparser.DuplicateSectionError():
            return error.lineno or 0, f"the section [{error.section}] stands twice in this file; join them"
        case configparser.MissingSectionHeaderError():
            if error.line.startswith(_BOM):
                return error.lineno, "the file starts with a byte order mark; save it as UTF-8 without one"
            return error.lineno, f"{shorten(error.line)}: expected a section such as [server:main] before the first key"
        case configparser.ParsingError() if error.errors:
            line, text = error.errors[0]
            return line, f"{shorten(text)}: expected key = value"
        case _:
            return 0, shorten(str(error))


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


def missing_section(lines: IniLines, prefix: str, name: str) -> ConfigError:
    """Say that a section is missing, and what there is."""
    wanted = f"{prefix}:{name}"
    present = [section for section in lines.sections if section.split(":")[0].strip().lower() == prefix]
    text = f"there is no section [{wanted}]"
    if present:
        text += f"; the file has {', '.join(f'[{section}]' for section in present)}"
    return ConfigError([Problem(display_path(lines.path), "", text)])


def application_trouble(lines: IniLines, name: str, error: Exception) -> ConfigError:
    """Say what PasteDeploy found wrong with the sections of an application."""
    if isinstance(error, configparser.InterpolationError):
        origin = lines.origin(error.section, error.option)
        return ConfigError([Problem(origin.place, error.option, interpolation_trouble(error))])
    if isinstance(error, RecursionError):
        return ConfigError([Problem(display_path(lines.path), "", "the sections use each other in a circle")])
    present = [section for section in lines.sections if section.split(":")[0].strip() in _APPLICATIONS]
    if isinstance(error, LookupError) and str(error).startswith("No section ") and f"'{name}'" in str(error):
        text = f"there is no section [app:{name}]"
        text += f"; the file has {', '.join(f'[{section}]' for section in present)}" if present else ""
        return ConfigError([Problem(display_path(lines.path), "", text)])
    if isinstance(error, PackageNotFoundError):
        text, wanted = f"the distribution {error.name} is not installed", str(error.name)
    else:
        text, wanted = shorten(str(error)), ""
    for section in present:
        use = lines.sections[section].get("use")
        if use and (wanted or f"app:{name}" == section) and wanted in use.value:
            return ConfigError([Problem(lines.origin(section, "use").place, f"use = {shorten(use.value)}", text)])
    return ConfigError([Problem(display_path(lines.path), f"[app:{name}]", text)])
