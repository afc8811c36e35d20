"""What a client that speaks plain HTTP to a port for TLS is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from waitressd.http.cleartext import asks_in_clear, https_address
from waitressd.http.grammar import is_host


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"GET /a?b HTTP/1.0\nHost: x\n\n",
        b"G",
        b"POST /",
        b"OPTIONS * HTTP/1.1",
        b"GET / ",
        b"GET",
    ],
)
def test_a_request_is_one_however_much_of_it_is_here(data: bytes) -> None:
    assert asks_in_clear(data)


@pytest.mark.parametrize(
    "data", [b"", b"\x16\3\1", b"get / HTTP/1.1\r\n", b"SSH-2.0-x\r\n", b"\r\nGET /", b"A" * 40, b"G\0"]
)
def test_other_things_are_none(data: bytes) -> None:
    assert not asks_in_clear(data)


@pytest.mark.parametrize(
    ("host", "port", "address"),
    [
        (b"a.example", 443, "https://a.example/"),
        (b"a.example:80", 443, "https://a.example/"),
        (b"a.example", 8443, "https://a.example:8443/"),
        (b"[::1]:8080", 8443, "https://[::1]:8443/"),
        (b"a.example:", None, "https://a.example/"),
        (b"<script>", 443, "https://default.example/"),
        (b"a/b", 443, "https://default.example/"),
        (b"a'b", 443, "https://default.example/"),
        (b":80", 443, ""),
        (b"", 443, "https://default.example/"),
        (b"[::1", 443, "https://default.example/"),
    ],
)
def test_the_host_that_was_asked_for_or_else_the_servers_own(host: bytes, port: int | None, address: str) -> None:
    for name in (b"Host", b"host", b"HOST"):
        head = b"GET /secret HTTP/1.1\r\nAccept: */*\r\n" + name + b": " + host + b"\r\n\r\n"
        assert https_address(head, "default.example", port) == address


def test_without_any_name_there_is_no_address() -> None:
    assert https_address(b"GET / HTTP/1.0\r\n\r\n", "", 443) == ""


@given(st.binary(max_size=300))
def test_whatever_comes_nothing_but_a_host_is_repeated(data: bytes) -> None:
    address = https_address(b"GET / HTTP/1.1\r\nHost: " + data + b"\r\n\r\n", "d.example", 8443)
    host = address.removeprefix("https://").removesuffix("/")
    assert is_host(host)
    assert set(host) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:[]_-")
