"""waitressd.wsgi.forwardednode: addresses as proxies write them (RFC 7239, section 6)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.wsgi.forwardednode import UNKNOWN, Node, parse_address, parse_node, parse_port, parse_strict_node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("192.0.2.1", Node("192.0.2.1")),
        ("192.0.2.1:80", Node("192.0.2.1", "80")),
        ("192.0.2.1:00080", Node("192.0.2.1", "80")),
        ("192.0.2.1:_hidden", Node("192.0.2.1")),
        ("[2001:DB8:0::1]", Node("2001:db8::1")),
        ("[2001:db8::1]:4711", Node("2001:db8::1", "4711")),
        ("[::1]:99", Node("::1", "99")),
        ("[::ffff:192.0.2.1]:99", Node("192.0.2.1", "99")),
        ("unknown", UNKNOWN),
        ("Unknown:80", UNKNOWN),
        ("_gazonk", UNKNOWN),
        ("_SEVKISEK:_x.y-z", UNKNOWN),
    ],
)
def test_a_node(text: str, node: Node) -> None:
    assert parse_node(text) == parse_strict_node(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("2001:db8::1", Node("2001:db8::1")),
        ("::1", Node("::1")),
        ("::ffff:1.2.3.4", Node("1.2.3.4")),
        ("::ffff:102:304", Node("1.2.3.4")),
    ],
)
def test_an_address_without_brackets(text: str, node: Node) -> None:
    """As X-Forwarded-For has it; the grammar of Forwarded does not."""
    assert parse_node(text) == node
    with pytest.raises(ValueError, match="without brackets"):
        parse_strict_node(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        ":80",
        "192.0.2.1:",
        "192.0.2.1:65536",
        "192.0.2.1:0",
        "192.0.2.1:+1",
        "192.0.2.1:\xb2",
        "192.0.2.1:8080x",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.01",
        "192.0.2.1 ",
        "192.0.2.1, 192.0.2.2",
        "[192.0.2.1]",
        "[]",
        "[::1",
        "::1]",
        "[::1]80",
        "[::1]:",
        "[::1]:80:80",
        "[fe80::1%eth0]",
        "fe80::1%eth0",
        "1:2:3",
        "localhost",
        "unknown2",
        "_",
        "_hid den",
        "<script>",
        "_\n",
        "1.2.3.4\n",
        "1.2.3.4:80\n",
    ],
)
def test_what_is_no_node(text: str) -> None:
    for parse in (parse_node, parse_strict_node):
        with pytest.raises(ValueError) as caught:  # the words are free, as long as they repeat nothing
            parse(text)
        assert text.strip() in ("", "_") or text not in str(caught.value)


@given(st.text(alphabet=st.characters(max_codepoint=255), max_size=40))
def test_any_text_gives_an_address_nothing_or_an_error(text: str) -> None:
    try:
        node = parse_node(text)
    except ValueError:
        return
    assert node == UNKNOWN or parse_address(node.address) == node.address
    assert node.port == "" or parse_port(node.port) == node.port


@given(st.ip_addresses(), st.integers(1, 65535))
def test_every_address_is_read(address: object, port: int) -> None:
    text = str(address)
    written = f"[{text}]:{port}" if ":" in text else f"{text}:{port}"
    assert parse_node(text).address == parse_node(written).address == parse_strict_node(written).address
    assert parse_node(written).port == str(port)
