"""The command line of a command becomes checked values, or one sentence that says what to write."""

import pytest

from waitressd.config.subcommands import SUBCOMMANDS
from waitressd.tools.failures import UsageError
from waitressd.tools.target import Words
from waitressd.tools.words import parse_words


def test_words_are_told_apart_by_their_form() -> None:
    asked = parse_words("requests", ["1-88120-14", "a.ini", "port=80", "--server-name=b", "--token-file", "t"])
    assert asked.identity == "1-88120-14"
    assert asked.words == Words("a.ini", {"port": "80"}, "b", "t")
    asked = parse_words("profile", ["unix:/run/a=b.sock", "10", "-o", "x.json"])
    assert (asked.seconds, asked.words.name, asked.text("output")) == (10, "unix:/run/a=b.sock", "x.json")
    assert parse_words("profile", []).seconds == 5


def test_values_are_checked_and_numbers_written_as_they_are_sent() -> None:
    asked = parse_words("requests", ["--older=1.5s", "--limit", "20", "--stack", "--phase=flush"])
    assert (asked.text("older"), asked.text("limit"), asked.text("phase")) == ("1.5", "20", "flush")
    assert asked.has("stack")
    assert not asked.has("group")
    assert not asked.has("json")
    assert asked.text("route") == ""
    assert asked.timeout_seconds == 2
    assert parse_words("ready", ["--wait=2m", "--timeout=500ms"]).number("wait") == 120
    assert parse_words("ready", ["--wait=2m", "--timeout=500ms"]).timeout_seconds == 0.5


@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("requests", ["--older=soon"], "--older=soon: expected seconds"),
        ("requests", ["--phase=lunch"], "invalid choice: 'lunch'"),
        ("requests", ["--stak"], "unknown option --stak; did you mean --stack?"),
        ("requests", ["--limit=-1"], "expected a whole number"),
        ("requests", ["--limit"], "expected one argument"),
        ("requests", ["a.ini", "b.ini"], "a.ini and b.ini: name one ADDRESS"),
        ("requests", ["--json=yes"], "--json"),
        ("profile", ["99"], "99: expected a whole number of seconds, 1 to 60"),
        ("profile", ["1.5"], "1.5: expected a whole number of seconds, 1 to 60"),
        ("profile", ["--rate=1000"], "expected a whole number, 1 to 200"),
        ("stats", ["--window=7"], "invalid choice: '7'"),
        ("top", ["--json"], "unknown option --json"),
        ("live", ["\x1b[2J", "\x1b"], "\\x1b[2J and \\x1b"),
    ],
)
def test_a_wrong_command_line(name: str, arguments: list[str], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_words(name, arguments)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_help_is_an_option_of_each(name: str) -> None:
    assert parse_words(name, ["--help"]).has("help")
    assert parse_words(name, ["-h"]).has("help")
