"""waitressd.wsgi.forwarded: the field Forwarded by its grammar (RFC 7239, section 4)."""

import contextlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.wsgi.forwarded import Element, format_forwarded, parse_forwarded


@pytest.mark.parametrize(
    ("value", "elements"),
    [
        ("", []),
        (" ", []),
        (", ,", []),
        (";;", []),
        # The examples of the RFC.
        ('for="_gazonk"', [{"for": "_gazonk"}]),
        ('For="[2001:db8:cafe::17]:4711"', [{"for": "[2001:db8:cafe::17]:4711"}]),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", [{"for": "192.0.2.60", "proto": "http", "by": "203.0.113.43"}]),
        ("for=192.0.2.43, for=198.51.100.17", [{"for": "192.0.2.43"}, {"for": "198.51.100.17"}]),
        # What proxies send and waitress refuses.
        ("for=192.0.2.60; proto=http", [{"for": "192.0.2.60", "proto": "http"}]),
        ("for=192.0.2.60 ;\tproto=http ,for=x", [{"for": "192.0.2.60", "proto": "http"}, {"for": "x"}]),
        # Separators within quotes are none.
        ('for=a;ext="1,2;3",for=b', [{"for": "a", "ext": "1,2;3"}, {"for": "b"}]),
        (r'ext="a\"b\\c"', [{"ext": 'a"b\\c'}]),
        ('ext=""', [{"ext": ""}]),
        # Case matters in values only.
        ("HOST=Example.COM", [{"host": "Example.COM"}]),
        (",for=a,,for=b,", [{"for": "a"}, {"for": "b"}]),
        (";for=a;;proto=http;", [{"for": "a", "proto": "http"}]),
        ("secret=x;for=y", [{"secret": "x", "for": "y"}]),
        ('ext="caf\xe9"', [{"ext": "caf\xe9"}]),
    ],
)
def test_elements(value: str, elements: list[Element]) -> None:
    assert parse_forwarded(value) == elements
    assert parse_forwarded(format_forwarded(elements)) == elements


@pytest.mark.parametrize(
    "value",
    [
        "for",
        "for=",
        "=a",
        "for =a",
        "for= a",
        "for=a b",
        "for=a proto=b",
        "for=[::1]",
        "for=1.2.3.4:80",
        'for="a',
        'for="',
        'for="a"b',
        'for="a"for="b"',
        'for=a"b"',
        'for="a\\"',
        "for=a;for=b",
        "for=a;FOR=b",
        "fo(r=a",
        "for=caf\xe9",
        'for="a\x00"',
        'for="a\x7f"',
        "for=a\n",
        "for=a;\nproto=b",
        '"for"=a',
        "for==a",
    ],
)
def test_what_does_not_follow_the_grammar(value: str) -> None:
    with pytest.raises(ValueError, match=r"^(not a list|a parameter that|something else)"):
        parse_forwarded(value)


@pytest.mark.parametrize("client", ['for="', 'for="x', 'for="x\\', 'x="y", for="z', "for=a;", 'a="\\'])
@pytest.mark.parametrize("proxy", ["for=10.0.0.1", 'for="[::1]:9"', 'for="[::1]";host="h"', "proto=https;for=10.0.0.1"])
def test_a_client_cannot_swallow_what_the_proxy_appends(client: str, proxy: str) -> None:
    try:
        elements = parse_forwarded(f"{client}, {proxy}")
    except ValueError:
        return
    assert elements[-1] == parse_forwarded(proxy)[-1]


@pytest.mark.parametrize(
    "value", ['for="' * 20_000, "a=b," * 20_000, ";" * 60_000, " " * 60_000, 'a="' + "\\\\" * 30_000]
)
def test_the_time_grows_with_the_length(value: str) -> None:
    before = time.process_time()
    with contextlib.suppress(ValueError):
        parse_forwarded(value)
    assert time.process_time() - before < 1.0


names = st.from_regex(r"[a-z!#$%&'*+.^_`|~0-9-]{1,8}", fullmatch=True)
values = st.text(alphabet=st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=12)


@given(st.lists(st.dictionaries(names, values, min_size=1, max_size=4), max_size=4))
def test_what_is_written_is_read_again(elements: list[Element]) -> None:
    assert parse_forwarded(format_forwarded(elements)) == elements


@given(st.text(alphabet=st.sampled_from('for=";,\\ \tx[1]:'), max_size=30))
def test_any_text_is_read_or_refused(value: str) -> None:
    try:
        elements = parse_forwarded(value)
    except ValueError:
        return
    assert all(elements)
    assert parse_forwarded(format_forwarded(elements)) == elements
