"""Lines of sections and keys, by the rules of the standard library's parser."""

import configparser

from hypothesis import given
from hypothesis import strategies as st

from waitressd.config.inidocument import IniDocument, scan

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
    found = scan("/x/a.ini", TEXT)
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
    found = scan("a.ini", "\n".join(lines))
    assert {name: list(keys) for name, keys in found.sections.items()} == {
        name: list(parser[name]) for name in parser.sections()
    }
    for name, entries in found.sections.items():
        for key, entry in entries.items():
            assert entry.value.split() == parser[name][key].split()
            assert lines[entry.line - 1].startswith(f"{key} =") or lines[entry.line - 1].startswith(key)


def test_lines_of_an_unknown_file_are_unknown() -> None:
    assert IniDocument("a.ini").origin("server:main", "port").place == "a.ini [server:main]"
