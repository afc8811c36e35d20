"""Applications named by MODULE:OBJECT, on the command line and in sections."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paste.deploy import loadapp

from waitressd.applications import StartError, import_application, wsgi
from waitressd.config.errors import ConfigError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder of its own that modules are imported from; none of them is known afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.startswith("shop"):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("reference", "call", "expected"),
    [
        ("shop:app", False, "app"),
        ("shop:Site.app", False, "site"),
        ("shop:make", True, "made"),
        ("shop:make()", False, "made"),
    ],
)
def test_references(reference: str, *, call: bool, expected: str) -> None:
    Path("shop.py").write_text(
        "app = 'app'\nclass Site:\n    app = 'site'\ndef make():\n    return 'made'\n", encoding="utf-8"
    )
    assert import_application(reference, call=call) == expected


def test_a_module_that_a_module_misses_is_the_application_s_own_trouble() -> None:
    Path("shop2.py").write_text("import nosuchmodule\n", encoding="utf-8")
    with pytest.raises(ModuleNotFoundError):
        import_application("shop2:app", call=False)
    with pytest.raises(StartError, match=r"there is no module shop3"):
        import_application("shop3.sub:app", call=False)


SHOP = """\
import os
def app(environ, start_response):
    start_response("200 OK", [])
    return [os.environ.get("SHOP_SETTINGS", "").encode()]
def make():
    return app
async def asynchronous(scope, receive, send):
    pass
"""


def test_a_section_names_an_application(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Modules are found beside the ini file and in the folders that it names, and variables are set once."""
    monkeypatch.setenv("SHOP_OBJECT", "app")
    monkeypatch.setenv("SHOP_SETTINGS", "")
    monkeypatch.delenv("SHOP_SETTINGS")  # and at the end of the test it is as it was before both
    (folder / "site").mkdir()
    (folder / "site" / "shop5.py").write_text(SHOP, encoding="utf-8")
    ini = folder / "shop.ini"
    ini.write_text(
        "[app:main]\nuse = egg:waitressd#wsgi\napplication = shop5:${SHOP_OBJECT}\n"
        "pythonpath = %(here)s/site\nenvironment =\n    SHOP_SETTINGS=a=b\n    SHOP_OBJECT=other\n",
        encoding="utf-8",
    )
    application = loadapp(f"config:{ini}")
    assert list(application({}, lambda _status, _fields: None)) == [b"a=b"]


def test_a_factory_is_called(folder: Path) -> None:
    (folder / "shop6.py").write_text(SHOP, encoding="utf-8")
    assert wsgi({}, application="shop6:make", call="true") is wsgi({"here": str(folder)}, application="shop6:app")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "shop.ini: the section needs application = MODULE:OBJECT"),
        ({"application": "shop7"}, "shop7: expected MODULE:OBJECT"),
        ({"application": "shop7:ap"}, "application = shop7:ap: shop7:ap: shop7 has no ap; did you mean app?"),
        ({"application": "nosuch:app"}, "there is no module nosuch"),
        ({"application": "shop7:asynchronous"}, "ASGI"),
        ({"application": "shop7:make"}, "it must be called first (call = true)"),
        ({"application": "shop7:app", "cal": "true"}, "unknown option of egg:waitressd#wsgi; did you mean call?"),
        ({"application": "shop7:app", "call": "maybe"}, "call = maybe: expected true or false"),
        ({"application": "shop7:app", "environment": "A"}, "environment = A: A: expected lines NAME=VALUE"),
        ({"application": "${SHOP_NOT_SET}"}, "the environment variable SHOP_NOT_SET is not set"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_section_is_named(folder: Path, options: dict[str, str], says: str) -> None:
    (folder / "shop7.py").write_text(SHOP, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        wsgi({"__file__": str(folder / "shop.ini"), "here": str(folder)}, **options)
    assert says in str(caught.value)
    assert str(caught.value).startswith("shop.ini: ")
