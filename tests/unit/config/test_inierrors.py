"""Errors of the ini format in sentences; whole files are in tests/functional/wrongfiles.txt."""

import configparser
from importlib.metadata import PackageNotFoundError

import pytest

from waitressd.config.inidocument import IniDocument, scan
from waitressd.config.inierrors import application_trouble, interpolation_trouble, missing_section, unreadable


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (FileNotFoundError(2, "No such file"), "/x/a.ini: there is no such file"),
        (PermissionError(13, "Permission denied"), "/x/a.ini: the file cannot be read: permission denied"),
        (OSError("odd"), "/x/a.ini: the file cannot be read: odd"),
        (UnicodeDecodeError("utf-8", b"a", 0, 1, "x"), "/x/a.ini:1: this line is not UTF-8; save the file as UTF-8"),
        (configparser.Error("odd"), "/x/a.ini: odd"),
    ],
)
def test_a_file_that_cannot_be_read(error: Exception, text: str) -> None:
    assert str(unreadable("/x/a.ini", error)) == text


def test_a_value_without_its_variable() -> None:
    assert "ENV" not in interpolation_trouble(configparser.InterpolationMissingOptionError("a", "b", "c", "port"))
    assert "write ${PORT}" in interpolation_trouble(
        configparser.InterpolationMissingOptionError("a", "b", "c", "ENV_PORT")
    )
    assert "circle" in interpolation_trouble(configparser.InterpolationDepthError("a", "b", "c"))
    assert "%%" in interpolation_trouble(configparser.InterpolationSyntaxError("a", "b", "c"))


def test_a_missing_section_is_named_with_those_there_are() -> None:
    document = scan("a.ini", "[Server:web]\n[app:web]\n[server:x]")
    assert str(missing_section(document, ("server",), "web")) == (
        "a.ini: there is no section [server:web]; the file has [Server:web], [server:x], and the case matters"
    )


LINES = scan("a.ini", "[app:main]\nuse = web\n[app:web]\nuse = egg:shop#x")


@pytest.mark.parametrize(
    ("document", "error", "text"),
    [
        (LINES, LookupError("odd"), "a.ini:2 [app:main]: use = web: odd"),
        (LINES, RecursionError("deep"), "a.ini: the sections use each other in a circle"),
        (
            LINES,
            LookupError("Entry point 'x' not found in egg 'shop' (protocols: ...)"),
            "a.ini:4 [app:web]: use = egg:shop#x: the distribution shop has no application named x",
        ),
        (IniDocument("egg:shop"), LookupError("odd"), "egg:shop: odd"),
        (
            LINES,
            LookupError("No section 'filt' (prefixed by 'filter') found in config a.ini"),
            "a.ini: there is no section [filter:filt]",
        ),
        (
            scan("a.ini", "[pipeline:main]\npipeline =\n  filt shop"),
            LookupError("No section 'shop' (prefixed by 'app' or 'application') found in config a.ini"),
            "a.ini:2 [pipeline:main]: pipeline = filt shop: there is no section [app:shop]",
        ),
        (
            scan("a.ini", "[app:main]\nuse = egg:pyramyd"),
            PackageNotFoundError("pyramyd"),
            "a.ini:2 [app:main]: use = egg:pyramyd: the distribution pyramyd is not installed; did you mean pyramid?",
        ),
    ],
)
def test_what_pastedeploy_says_about_an_application(document: IniDocument, error: Exception, text: str) -> None:
    assert str(application_trouble(document, "main", error)) == text
