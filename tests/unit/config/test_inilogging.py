"""Logging sections; whole files with their messages are in tests/functional/wrongfiles.txt."""

import logging
from pathlib import Path

import pytest

from waitressd.config.errors import ConfigError
from waitressd.config.iniloader import Documents
from waitressd.config.inilogging import logging_problems
from waitressd.config.inisource import IniSource

CONFIGS = Path(__file__).parent.parent.parent.parent / "configs"
GOOD = {
    "loggers": {"keys": "root, shop"},
    "handlers": {"keys": "a"},
    "formatters": {"keys": "f"},
    "logger_root": {"level": "INFO", "handlers": "a"},
    "logger_shop": {"qualname": "shop", "handlers": "", "propagate": "1", "level": "NOTSET"},
    "handler_a": {"class": "StreamHandler", "args": "(sys.stderr,)", "level": "NOTSET", "formatter": "f"},
    "formatter_f": {"format": "%(asctime)s %(message)s", "datefmt": "%Y", "style": "%"},
}


def write(folder: Path, section: str = "", key: str = "", value: str | None = None) -> tuple[Path, int]:
    """Write the good file with one value changed, or left out if it is None; return the line that matters."""
    sections = {name: dict(entries) for name, entries in GOOD.items()}
    if value is not None:
        sections[section][key] = value
    elif key:
        del sections[section][key]
    elif section:
        del sections[section]
    lines: list[str] = []
    found = 0
    for name, entries in sections.items():
        for text in (f"[{name}]", *(f"{k} = {v}" for k, v in entries.items())):
            lines.extend(text.split("\n"))
            if name == section and (text == f"[{name}]" or text.startswith(f"{key} =")):
                found = len(lines)
    path = folder / "a.ini"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path, found


def problems(path: Path, variables: dict[str, str] | None = None) -> list[str]:
    return [str(problem) for problem in logging_problems(Documents().loader(str(path), variables or {}))]


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.ini")), ids=lambda path: path.name)
def test_our_own_files_are_right(path: Path) -> None:
    assert problems(path) == []


def test_a_file_without_logging_is_right(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("[app:main]\n", encoding="utf-8")
    assert problems(path) == []


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("", "", None),
        ("handler_a", "args", None),
        ("handler_a", "args", "[]"),
        ("handler_a", "class", "handlers.RotatingFileHandler"),
        ("handler_a", "class", "logging.handlers.RotatingFileHandler"),
        ("handler_a", "kwargs", "{'stream': sys.stdout}"),
        ("logger_shop", "propagate", "0"),
        ("logger_shop", "level", "%(LEVEL)s"),
        ("formatter_f", "class", "logging.Formatter"),
        ("formatter_f", "style", None),
    ],
)
def test_what_logging_takes_is_right(tmp_path: Path, section: str, key: str, value: str | None) -> None:
    path, _ = write(tmp_path, section, key, value)
    assert problems(path, {"LEVEL": "INFO"}) == []


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("loggers", "keys", "root,", "there is no name before or after a comma"),
        ("loggers", "keys", "shop", "the list must contain root"),
        ("loggers", "keys", "root, x", "there is no section [logger_x]"),
        ("handlers", "keys", "a,,", "there is no name before or after a comma"),
        ("formatters", "keys", None, "the section needs keys = a list of names"),
        ("logger_root", "handlers", None, "the section needs handlers = a list, which may be empty"),
        ("logger_root", "handlers", "a,", "an empty name is not among the keys of [handlers]"),
        ("logger_root", "level", "LOUD", "expected CRITICAL, "),
        ("logger_root", "level", "INFO\n  qualname = x", "the line 'qualname = x' begins with blanks"),
        ("logger_root", "level", "%(nothing)s", "nothing gives a value for %(nothing)s"),
        ("logger_shop", "qualname", None, "the section needs qualname = the name of the logger"),
        ("logger_shop", "propagate", "false", "expected 1 or 0"),
        ("handler_a", "class", None, "the section needs class = StreamHandler, for example"),
        ("handler_a", "class", "StreamHandlr", "logging has no such class; did you mean StreamHandler?"),
        ("handler_a", "class", "TimedRotatingFileHandler", "did you mean handlers.TimedRotatingFileHandler?"),
        ("handler_a", "class", "handlers.RotatingFileHandlr", "did you mean handlers.RotatingFileHandler?"),
        ("handler_a", "class", "logging.StreamHandlr", "the class cannot be imported"),
        ("handler_a", "class", "no.such.Handler", "the class cannot be imported: ModuleNotFoundError"),
        ("handler_a", "level", "debug", "did you mean DEBUG?"),
        ("handler_a", "formatter", "g", "g is not among the keys of [formatters]"),
        ("handler_a", "args", "(nonsense", "this is no Python expression: '(' was never closed"),
        ("handler_a", "args", "('a.log')", "expected a tuple; did you mean ('a.log',)?"),
        ("handler_a", "kwargs", "stream=x", "this is no Python expression"),
        ("handler_a", "target", "b", "b is not among the keys of [handlers]"),
        ("formatter_f", "class", "no.Formatter", "the class cannot be imported"),
        ("formatter_f", "style", "!", "expected %, { or $"),
        ("formatter_f", "format", "%(asctime", "Invalid format"),
    ],
)
def test_each_mistake_has_its_section_line_and_key(
    tmp_path: Path, section: str, key: str, value: str | None, said: str
) -> None:
    path, line = write(tmp_path, section, key, value)
    found = next(problem for problem in problems(path) if said in problem)
    line -= value.count("\n") if value else 0
    assert found.startswith(f"{path}:{line} [{section}]: ")
    if value is not None:
        assert f"]: {key} = " in found


@pytest.mark.parametrize("section", ["handlers", "formatters", "logger_shop", "handler_a", "formatter_f"])
def test_each_section_that_is_missing_is_named(tmp_path: Path, section: str) -> None:
    path, _ = write(tmp_path, section)
    assert any(f"there is no section [{section}]" in problem for problem in problems(path))


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        ("args", "(nothing,)", "NameError"),
        ("args", "(1, 2, 3)", "TypeError"),
        ("kwargs", "{'streams': 1}", "TypeError"),
    ],
)
def test_what_only_the_set_up_finds_has_its_section_line_and_key_too(
    tmp_path: Path, key: str, value: str, error: str
) -> None:
    text = (
        "[loggers]\nkeys = root\n[handlers]\nkeys = a\n[formatters]\nkeys =\n[logger_root]\nhandlers =\n[handler_a]\n"
    )
    path = tmp_path / "a.ini"
    path.write_text(f"{text}class = StreamHandler\n{key} = {value}\n", encoding="utf-8")
    before = list(logging.getLogger().handlers)
    with pytest.raises(ConfigError) as caught:
        IniSource(str(path), {}).setup_logging()
    logging.getLogger().handlers[:] = before
    said = f"{path}:11 [handler_a]: {key} = {value}: logging cannot be set up: {error}: "
    assert str(caught.value).startswith(said)
