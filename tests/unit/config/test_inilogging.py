"""Logging sections; whole files with their messages are in tests/functional/wrongfiles.txt."""

from pathlib import Path

import pytest

from waitressd.config.inidocument import scan
from waitressd.config.inilogging import logging_problems

CONFIGS = Path(__file__).parent.parent.parent.parent / "configs"


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.ini")), ids=lambda path: path.name)
def test_our_own_files_are_right(path: Path) -> None:
    assert list(logging_problems(scan(path.name, path.read_text(encoding="utf-8")))) == []


def test_a_file_without_logging_is_right() -> None:
    assert list(logging_problems(scan("a.ini", "[app:main]"))) == []


def test_classes_with_a_path_and_levels_with_variables_are_left_to_the_library() -> None:
    text = (
        "[loggers]\nkeys=root\n[handlers]\nkeys=a\n[formatters]\nkeys=\n[logger_root]\nlevel=%(level)s\nhandlers=a\n"
        "[handler_a]\nclass=shop.logs.Handler\nlevel=DEBUG\nargs=()\n"
    )
    assert list(logging_problems(scan("a.ini", text))) == []


def test_a_handler_needs_a_class() -> None:
    text = "[loggers]\nkeys=root\n[handlers]\nkeys=a\n[formatters]\n[logger_root]\nhandlers=a\n[handler_a]\nargs=()\n"
    (problem,) = logging_problems(scan("a.ini", text))
    assert str(problem) == "a.ini:8 [handler_a]: the section needs class = StreamHandler, for example"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TimedRotatingFileHandler", "handlers.TimedRotatingFileHandler"),
        ("handlers.RotatingFileHandlr", "handlers.RotatingFileHandler"),
        ("StreamHandlr", "StreamHandler"),
    ],
)
def test_a_class_that_does_not_exist_is_named(name: str, meant: str) -> None:
    text = "[loggers]\nkeys=root\n[handlers]\nkeys=a\n[formatters]\n[logger_root]\nhandlers=a\n[handler_a]\n"
    text += f"class={name}\n"
    (problem,) = logging_problems(scan("a.ini", text))
    assert str(problem).endswith(f"class = {name}: logging has no such class; did you mean {meant}?")
