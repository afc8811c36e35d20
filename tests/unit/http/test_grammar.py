"""Each terminal of the grammar, at its edges."""

import pytest

from waitressd.http.grammar import (
    FIELD_OCTETS,
    decode_percent,
    is_chunk_extension,
    is_digits,
    is_field_value,
    is_host,
    is_ipv6,
    is_token,
    split_list,
)

TCHAR = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def test_a_token_has_exactly_the_tchars() -> None:
    assert {chr(code) for code in range(0x200) if is_token(chr(code))} == set(TCHAR)
    assert is_token(TCHAR)


@pytest.mark.parametrize("text", ["", "a b", " a", "a ", "a\n", "a:", "(a)", "é"])
def test_what_is_no_token(text: str) -> None:
    assert not is_token(text)


def test_a_value_has_tab_space_visible_and_obs_text() -> None:
    allowed = {0x09, *range(0x20, 0x7F), *range(0x80, 0x100)}
    assert {code for code in range(0x300) if is_field_value(chr(code))} == allowed
    assert set(FIELD_OCTETS) == allowed
    assert is_field_value("")
    assert not is_field_value("a\n")
    assert not is_field_value("a\nb")


@pytest.mark.parametrize("text", ["", "+1", "-1", "1 ", " 1", "1\n", "0x1", "1_0", "²", "٣", "1,1", "1.0"])
def test_digits_are_ascii_digits_and_nothing_else(text: str) -> None:
    assert not is_digits(text)
    assert is_digits("0123456789")


@pytest.mark.parametrize(
    "text",
    [
        b"", b";a", b";a;b", b" ; a", b"\t;\ta\t=\tb", b";a=b", b';a=""', b';a="x;y \\" z"', b';a="\xe9"',
        b';a="\\\xe9"',
        b";a=b;c=d ; e", b';a="b";c', b";a#b='",
    ],
)  # fmt: skip
def test_a_chunk_extension(text: bytes) -> None:
    assert is_chunk_extension(text)


@pytest.mark.parametrize(
    "text",
    [
        b" ", b";", b";;", b"; ", b";a ", b";a=", b";=b", b";a b", b";a=b c", b';a="', b';a="b', b';a="b"c', b';a="\\"',
        b';a="\x00"', b";a\x00", b";a\r", b";a\n", b";\xe9", b";a=\xe9", b'a=b', b',a', b';a="\x7f"', b';a="\\\x01"',
    ],
)  # fmt: skip
def test_what_is_no_chunk_extension(text: bytes) -> None:
    assert not is_chunk_extension(text)


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":80", "a", "a.test", "a.test.", "A.TEST", "a.test:", "a.test:80", "a.test:99999", "127.0.0.1:80",
        "a_b",
        "a%20b", "a%2F", "!$&'()*+,;=~-._", "[::]", "[::1]", "[::1]:", "[::1]:8080", "[1:2:3:4:5:6:7:8]", "[v1.a:b]",
        "[V7F.~]:1", "[::ffff:1.2.3.4]", "[abcd::]",
    ],
)  # fmt: skip
def test_a_host(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "a b", "a/b", "a?b", "a#b", "u@a", '"a"', "a\\b", "a<b", "a:b", "a:80:80", "a:-1", "a: 80", "a%2", "a%zz",
        "a\x00",
        "é", "a,b:c", "[", "]", "[]", "[::1", "::1", "[::1]a", "[::1]:x", "[zz]", "[1.2.3.4]", "[v.a]", "[v1.]",
        "[v1]", "[::1%25eth0]",
        "a\n", "a:80\n", "[::1]\n", "[[::1]]", "[v1.a]]",
    ],
)  # fmt: skip
def test_what_is_no_host(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize(
    "text",
    [
        "::", "::1", "1::", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:1.2.3.4", "::1.2.3.4", "1::1.2.3.4", "1:2:3:4:5:6:7::",
        "::2:3:4:5:6:7:8", "abcd:EF01::", "::255.249.199.0", "1:2:3:4:5::1.2.3.4",
    ],
)  # fmt: skip
def test_an_ipv6_address(text: str) -> None:
    assert is_ipv6(text)


@pytest.mark.parametrize(
    "text",
    [
        "", ":", ":::", "1", "1:2", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::",
        "1:2:3:4:5:6:7:8::",
        "::1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:1.2.3.4", "1.2.3.4", "1.2.3.4::", "::1.2.3", "::1.2.3.4.5", "::256.1.1.1",
        "::01.1.1.1", "::1.2.3.4.", "::1:", ":1::", "1:", ":1:2:3:4:5:6:7", "1:2:3:4:5:6::1.2.3.4", "::1\n",
    ],
)  # fmt: skip
def test_what_is_no_ipv6_address(text: str) -> None:
    assert not is_ipv6(text)


@pytest.mark.parametrize(
    ("text", "decoded"),
    [("", ""), ("a", "a"), ("%41", "A"), ("%2f%2F", "//"), ("a%20b%c3%A9", "a b\xc3\xa9"), ("%00%ff", "\x00\xff"),
    ("%2541", "%41")],
)  # fmt: skip
def test_percent_decoding(text: str, decoded: str) -> None:
    assert decode_percent(text) == decoded


def test_every_escape_and_every_octet_beside_one() -> None:
    for octet in range(256):
        for escape in (f"%{octet:02x}", f"%{octet:02X}"):
            assert decode_percent(f"/a{escape}b") == f"/a{chr(octet)}b"
        if chr(octet) != "%":
            assert decode_percent(f"{chr(octet)}%41{chr(octet)}") == f"{chr(octet)}A{chr(octet)}"
    assert decode_percent(r"/\x41\n\%41\\%5C") == r"/\x41\n\A\\" + "\\"


@pytest.mark.parametrize("text", ["%", "%4", "%4g", "%%41", "a%", "%-1", "% 1", "%+1"])
def test_a_bad_percent_escape(text: str) -> None:
    with pytest.raises(ValueError, match="escape"):
        decode_percent(text)


@pytest.mark.parametrize(
    ("value", "members"),
    [("", []), (" ,\t, ", []), ("a", ["a"]), ("Close ,\tKeep-Alive,", ["close", "keep-alive"]), ("a b", ["a b"]),
    ("\x0ba", ["\x0ba"])],
)  # fmt: skip
def test_a_list(value: str, members: list[str]) -> None:
    assert split_list(value) == members
