"""Files read once, with the values that PasteDeploy gives, and `use` in every spelling that PasteDeploy takes."""

import configparser
import itertools
import locale
from pathlib import Path

import pytest
from paste.deploy.loadwsgi import APP, SERVER, loadcontext

from waitressd.config.errors import ConfigError
from waitressd.config.inifile import from_factory, from_file
from waitressd.config.iniloader import Documents, config_target, scheme_of

BASE = "[server:main]\nuse = egg:waitressd\nthreads = 3\nident = %(here)s\n[server:web]\nuse = main\nbacklog = 5\n"
FILES = ("base.ini", "sub/base.ini", "two words.ini", "sub/a%b.ini", "sub/ü.ini")
SCHEMES = ("config:", "Config:", "CONFIG:")
TARGETS = (
    "base.ini", "./base.ini", "sub/base.ini", "sub\\base.ini", ".\\sub\\base.ini", "sub/../base.ini", "sub//base.ini",
    "/base.ini", "\\base.ini", "two words.ini", "two%%20words.ini", "two%%20words.ini ", "sub%%2fbase.ini",
    "sub/a%%25b.ini", "sub/a%%b.ini", "sub/%%C3%%BC.ini", "%(here)s/base.ini", "%(here)s\\sub\\base.ini", "nothing.ini",
    "", " base.ini", "base.ini?a=b",
)  # fmt: skip
NAMES = ("", "#main", "#web", "#", "#nothing", "#egg:waitressd", "#config:sub/base.ini", "#web#main")
OTHERS = (
    "egg:waitressd", "EGG:waitressd", "Egg:waitressd#main", "eGG:WaitressD", "egg:waitressd#other", "egg:", "egg",
    "call:waitressd.deploy:server_factory", "CALL:waitressd.deploy:server_factory", "Call:waitressd.deploy:nothing",
    "web", "Web", "other", "file:base.ini", "main:x", "config", "waitressd",
)  # fmt: skip
PARTS = itertools.chain(itertools.product(SCHEMES, TARGETS, [""]), itertools.product(SCHEMES[:1], TARGETS[2:4], NAMES))
SPELLINGS = [*map("".join, PARTS), *OTHERS]

REFUSALS = (ImportError, LookupError, OSError, ValueError, AttributeError, configparser.Error)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    for name in FILES:
        (tmp_path / name).write_text(BASE, encoding="utf-8")
    return tmp_path


def test_use_is_read_as_pastedeploy_reads_it(folder: Path) -> None:
    """What `pserve` serves, our command serves, with the same values; and a factory finds them again."""
    path = folder / "outer.ini"
    served = 0
    for use in SPELLINGS:
        text = f"[server:main]\nuse = {use}\nurl_prefix = /x\n[server:web]\nuse = egg:waitressd\nthreads = 9\n"
        path.write_text(text, encoding="utf-8")
        try:
            context = loadcontext(SERVER, f"config:{path}")
        except REFUSALS:
            continue  # what PasteDeploy does not serve, we need not serve
        served += 1
        section = from_file(str(path), "main", {})
        section.check()
        assert {name: item.value for name, item in section.given.items()} == context.local_conf, use
        again = from_factory(context.global_conf, context.local_conf)
        assert {name: item.origin for name, item in again.given.items()} == {
            name: item.origin for name, item in section.given.items()
        }, use
    assert served > len(SPELLINGS) // 4


@pytest.mark.parametrize(
    ("use", "scheme"), [("egg:a", "egg"), ("Config:a", "config"), ("main", ""), ("1:a", ""), ("a b:c", ""), ("", "")]
)
def test_a_scheme_is_letters_before_a_colon(use: str, scheme: str) -> None:
    assert scheme_of(use) == scheme


def test_a_target_is_relative_to_its_file_and_names_main_by_default() -> None:
    assert config_target("config:b.ini", "/a") == ("/a/b.ini", "main")
    assert config_target("config:/b%20c.ini#web", "/a") == ("/b c.ini", "web")


FOLDERS = ("100% done", "a%%b", "a%(here)s", "50%25", "%(x")


@pytest.mark.parametrize("name", FOLDERS)
def test_a_percent_sign_in_a_path_is_an_ordinary_character(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "base.ini").write_text(BASE, encoding="utf-8")
    app = "[app:main]\nuse = config:more.ini\n"
    (folder / "more.ini").write_text(
        "[app:main]\nuse = call:tests.support.configapp:factory\na = %(here)s/b\n", "utf-8"
    )
    path = folder / "a.ini"
    path.write_text(f"[server:main]\nuse = config:base.ini\nurl_prefix = /x\n{app}", encoding="utf-8")
    section = from_file(str(path), "main", {})
    assert section.given["ident"].value == str(folder)
    assert section.global_conf["__file__"] == str(path)
    context = Documents().loader(str(path), {}).get_context(APP, "main", {})
    assert context.local_conf == {"a": f"{folder}/b"}
    assert context.global_conf["here"] == str(folder)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("u:p%40@h", "u:p%40@h"),
        ("50%", "50%"),
        ("%%", "%"),
        ("p%%40", "p%40"),
        ("%(here)s/x", "{here}/x"),
        ("%(", "%("),
    ],
)
def test_a_lone_percent_sign_in_a_variable_is_an_ordinary_character(tmp_path: Path, given: str, value: str) -> None:
    """What PasteDeploy gives a meaning keeps it."""
    path = tmp_path / "a.ini"
    path.write_text("[server:main]\nuse = config:b.ini\nident = %(db)s\n", encoding="utf-8")
    (tmp_path / "b.ini").write_text("[server:main]\nuse = egg:waitressd\nserver_name = %(db)s\n", encoding="utf-8")
    found = from_file(str(path), "main", {"db": given}).given
    expected = value.format(here=tmp_path)
    assert (found["ident"].value, found["server_name"].value) == (expected, expected)


def test_a_percent_sign_that_a_file_hands_on_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_text("[DEFAULT]\nshare = 50%%\n[server:main]\nuse = config:b.ini\n", encoding="utf-8")
    (tmp_path / "b.ini").write_text("[server:main]\nuse = egg:waitressd\nident = %(share)s\n", encoding="utf-8")
    assert from_file(str(path), "main", {}).given["ident"].value == "50%"


def test_files_are_utf_8_or_else_in_the_encoding_of_the_locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ini"
    for name in ("ascii", "latin-1", "utf-8"):
        monkeypatch.setattr(locale, "getencoding", lambda name=name: name)  # what the system says
        path.write_text("# größe\n", encoding="utf-8")
        assert Documents().read(str(path)).text == "# größe\n"
    path.write_text("# größe\n", encoding="latin-1")
    with pytest.raises(ConfigError, match=r"a\.ini:1: this line is not UTF-8; save the file as UTF-8"):
        Documents().read(str(path))
    monkeypatch.setattr(locale, "getencoding", lambda: "latin-1")
    assert Documents().read(str(path)).text == "# größe\n"


def test_line_ends_of_other_systems(tmp_path: Path) -> None:
    path = tmp_path / "a.ini"
    path.write_bytes(b"[server:main]\r\nuse = egg:waitressd\r\nthreads = 3\r\n")
    section = from_file(str(path), "main", {})
    assert section.check().threads == 3
    assert section.given["threads"].origin.line == 3


def test_a_file_is_read_once(folder: Path) -> None:
    documents = Documents()
    path = folder / "base.ini"
    first = documents.read(str(path))
    path.unlink()
    assert documents.read(str(folder / "sub" / ".." / "base.ini")) is first
    assert documents.loader(str(path), {}).server("web") == "server:web"
    assert documents.paths == (str(path),)
