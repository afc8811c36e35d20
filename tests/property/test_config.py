"""Whatever stands in a section: a value that can be shown and read again, or sentences; never another exception."""

from collections.abc import Callable
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from waitressd.config.adjustments import SETTINGS, Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.expand import expand
from waitressd.config.settings import Setting
from waitressd.kinds import BadValueError

ROWS = st.sampled_from([row for row in SETTINGS.values() if not row.kind.python_only])
NEAR = st.text("0123456789abcdefxunl:./*[]-_,;# \t\n%${}KMGs@é\0", max_size=24)
WORDS = st.sampled_from(
    [
        "*:80",
        "[::1]:80",
        "unix:/a",
        "fd:3",
        "fd:web",
        "localhost",
        "10.0.0.0/8",
        "yes",
        "64K",
        "2m",
        "1e9",
        "\u0661",
        "inf",
    ]
)
TEXTS = st.one_of(NEAR, st.text(max_size=12), st.lists(WORDS, max_size=3).map(" ".join))


def refusal_of(parse: Callable[[Any], object], value: object) -> str:
    """Return the words of a refusal, and a blank for one that has none; nothing where the value was taken."""
    try:
        parse(value)
    except (BadValueError, ConfigError) as bad:
        return str(bad) or " "
    return ""


@given(ROWS, TEXTS)
@example(SETTINGS["listen"], "[::1%]:80")
@example(SETTINGS["listen"], "[fe80::1%a b]:80")
@example(SETTINGS["trusted_proxy"], "fe80::1%eth0")
@example(SETTINGS["host"], "::1%\n")
def test_a_text_is_a_value_or_refused(row: Setting, text: str) -> None:
    refusal = refusal_of(row.kind.parse, text)
    if refusal:
        assert "\n" not in refusal or "\n" in text
        return
    value = row.kind.parse(text)
    assert row.kind.parse(row.kind.show(value)) == value
    if value != "":  # an empty host is every interface as a value, and a mistake as a text
        assert row.kind.parse(value) == value


@given(st.dictionaries(st.one_of(st.sampled_from([*SETTINGS, "thread", "bind"]), NEAR), TEXTS, max_size=6))
def test_a_section_is_adjustments_or_sentences(section: dict[str, str]) -> None:
    refusal = refusal_of(Adjustments.from_strings, section)
    if refusal:
        assert all(char.isprintable() or char == "\n" for char in refusal)
        assert all(refusal.split("\n"))
        return
    adjustments = Adjustments.from_strings(section)
    assert adjustments.listeners
    assert set(adjustments.origins) <= set(SETTINGS)


@given(NEAR, st.dictionaries(st.sampled_from(["a", "b", "x"]), NEAR))
def test_expanding_replaces_everything_or_refuses(text: str, environ: dict[str, str]) -> None:
    refusal = refusal_of(lambda value: expand(value, environ), text)
    if refusal:
        assert "${" in refusal
        return
    expanded, names = expand(text, environ)
    assert names or "${" not in text or "$$" in text
    assert "$" in text or expanded == text
