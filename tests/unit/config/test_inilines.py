"""Lines of sections and keys, by the rules of the standard library's parser."""

import configparser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.config.inilines import IniLines, follow, relative_path, scan

TEXT = """\
# a comment
[DEFAULT]
http_port = 80

[server: main]
use = config:base.ini#web
; another
listen =
    127.0.0.1:1

    # a comment within
    unix:/a = b
port : 8080
get threads = count
set x = y
key:with:colons
 [not a section]
[request_log:a b]
"""


def test_sections_and_keys_have_lines() -> None:
    found = scan("/x/a.ini", TEXT.splitlines())
    assert found.lines == {"DEFAULT": 2, "server: main": 5, "request_log:a b": 18}
    assert {key: entry.line for key, entry in found.sections["server: main"].items()} == {
        "use": 6,
        "listen": 8,
        "port": 13,
        "get threads": 14,
        "set x": 15,
        "key": 16,
    }
    assert found.sections["server: main"]["listen"].value == "\n127.0.0.1:1\nunix:/a = b"
    assert found.origin("server: main", "port").line == 13
    assert found.origin("server: main", "nothing").line == 5
    assert found.find_server("main") == "server: main"
    assert found.find_server("web") is None
    assert list(found.server_sections()) == ["server: main"]


NAMES = st.text("abcXYZ_-. ", min_size=1, max_size=6).map(str.strip).filter(lambda name: name and name != "DEFAULT")
VALUES = st.text("abc =:#;[]%\t", max_size=8)


@given(
    st.dictionaries(
        NAMES, st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=4), min_size=1, max_size=3
    )
)
def test_the_keys_are_those_of_the_standard_parser(content: dict[str, dict[str, list[str]]]) -> None:
    lines = []
    for section, keys in content.items():
        lines.append(f"[{section}]")
        for key, values in keys.items():
            lines.append(f"{key} = {values[0]}")
            lines.extend(f"    {value}" for value in values[1:])
    parser = configparser.RawConfigParser()
    parser.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way to keep case
    try:
        parser.read_string("\n".join(lines))
    except configparser.Error:
        return  # PasteDeploy refuses the file before anybody asks for its lines
    found = scan("a.ini", lines)
    assert {name: list(keys) for name, keys in found.sections.items()} == {
        name: list(parser[name]) for name in parser.sections()
    }
    for name, entries in found.sections.items():
        for key, entry in entries.items():
            assert entry.value.split() == parser[name][key].split()
            assert lines[entry.line - 1].startswith(f"{key} =") or lines[entry.line - 1].startswith(key)


FILES = {
    "/x/a.ini": scan(
        "/x/a.ini",
        "[server:main]\nuse = web\nport = 1\n[server:web]\nuse = config:sub/b.ini#base\nport = 2\nhost = x\n"
        "[server:round]\nuse = circle\n[server:circle]\nuse = round\n[server:lost]\nuse = config:no.ini\n"
        "[server:odd]\nuse = nobody\nget threads = n\nset a = b\nrequire = x\n".splitlines(),
    ),
    "/x/sub/b.ini": scan("/x/sub/b.ini", "[server:base]\nuse = egg:waitressd\nthreads = 3\nport = 3\n".splitlines()),
}


@pytest.mark.parametrize(
    ("section", "chain"),
    [
        ("server:main", [("/x/a.ini", "server:main"), ("/x/a.ini", "server:web"), ("/x/sub/b.ini", "server:base")]),
        ("server:round", [("/x/a.ini", "server:round"), ("/x/a.ini", "server:circle")]),
        ("server:lost", [("/x/a.ini", "server:lost")]),
        ("server:odd", [("/x/a.ini", "server:odd")]),
        ("server:none", []),
    ],
)
def test_use_is_followed(section: str, chain: list[tuple[str, str]]) -> None:
    found = follow(FILES.get, "/x/a.ini", section)
    assert [(lines.path, name) for lines, name in found.links] == chain


def test_the_nearer_section_wins() -> None:
    entries = follow(FILES.get, "/x/a.ini", "server:main").entries()
    assert {key: (Path(origin.path).name, origin.line) for key, (_, origin) in entries.items()} == {
        "port": ("a.ini", 3),
        "host": ("a.ini", 7),
        "threads": ("b.ini", 3),
    }


def test_get_gives_a_key_and_set_does_not() -> None:
    chain = follow(FILES.get, "/x/a.ini", "server:odd")
    assert list(chain.entries()) == ["threads"]
    assert chain.name == "server:odd"


@pytest.mark.parametrize("target", ["sub/b.ini", "%(here)s/sub/b.ini", "/x/sub/b.ini"])
def test_a_target_is_relative_to_its_file(target: str) -> None:
    assert relative_path("/x/a.ini", target) == "/x/sub/b.ini"


def test_lines_of_an_unknown_file_are_unknown() -> None:
    assert IniLines("a.ini").origin("server:main", "port").place == "a.ini [server:main]"
