"""Addresses: what is taken for one, what is refused with which words; nothing is resolved."""

from pathlib import Path

import pytest

from waitressd.config.addresses import (
    FdAddress,
    ListenAddress,
    TcpAddress,
    UnixAddress,
    host_name,
    parse_listen,
    parse_unix_path,
    unix_path,
)
from waitressd.kinds import BadValueError

LONG = "a" * 63


@pytest.mark.parametrize(
    ("text", "address", "shown"),
    [
        ("127.0.0.1:80", TcpAddress("127.0.0.1", 80), "127.0.0.1:80"),
        ("localhost", TcpAddress("localhost", 8080), "localhost:8080"),
        ("*:0", TcpAddress("", 0), "*:0"),
        ("*", TcpAddress("", 8080), "*:8080"),
        ("[::1]:443", TcpAddress("::1", 443), "[::1]:443"),
        ("[::]", TcpAddress("::", 8080), "[::]:8080"),
        ("[fe80::1%eth0]:80", TcpAddress("fe80::1%eth0", 80), "[fe80::1%eth0]:80"),
        ("[0:0::1]:1", TcpAddress("::1", 1), "[::1]:1"),
        ("my_host.example.:65535", TcpAddress("my_host.example.", 65535), "my_host.example.:65535"),
        ("unix:/run/app.sock", UnixAddress("/run/app.sock"), "unix:/run/app.sock"),
        ("unix:///run/app.sock", UnixAddress("/run/app.sock"), "unix:/run/app.sock"),
        ("unix:app.sock", UnixAddress(f"{Path.cwd()}/app.sock"), f"unix:{Path.cwd()}/app.sock"),
        ("unix:../app.sock", UnixAddress(f"{Path.cwd().parent}/app.sock"), f"unix:{Path.cwd().parent}/app.sock"),
        ("fd:3", FdAddress(3), "fd:3"),
        ("fd:web", FdAddress("web"), "fd:web"),
    ],
)
def test_an_address_is_a_value(text: str, address: ListenAddress, shown: str) -> None:
    assert parse_listen(text) == address
    assert str(address) == shown
    assert parse_listen(shown) == address


def test_a_relative_path_belongs_to_the_folder_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the whole path would be too long for a socket, the relative one has to do."""
    monkeypatch.chdir(tmp_path)
    assert parse_unix_path("a.sock") == str(tmp_path / "a.sock")
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)
    assert parse_unix_path("a.sock") == "a.sock"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("localhost:80800", "expected a port number, 0 to 65535, not 80800"),
        ("localhost:", "expected a port number, 0 to 65535, not nothing"),
        ("localhost:http", "expected a port number, 0 to 65535, not http"),
        ("localhost:-1", "expected a port number, 0 to 65535, not -1"),
        ("::1", "an IPv6 address needs brackets: write [::1]:8080"),
        ("::1:80", "an IPv6 address needs brackets: write [::1]:80"),
        ("[::1", ""),
        ("[::1]80", ""),
        ("[1.2.3.4]:80", "1.2.3.4 is not an IPv6 address"),
        ("10.0.0.300:80", "10.0.0.300 is not an IPv4 address"),
        ("1.2.3:80", "1.2.3 is not an IPv4 address"),
        ("a..b:80", "a..b is not a host name or an IP address"),
        ("-a:80", "-a is not a host name or an IP address"),
        (f"{LONG}a:80", f"{LONG}a is not a host name or an IP address"),
        (":8080", "write *:8080 for every interface, or localhost:8080 for this machine alone"),
        ("8080", "a number alone is no address; write *:8080 or localhost:8080"),
        ("/run/app.sock", "write unix:/run/app.sock for a Unix socket"),
        (
            "http://localhost:80",
            "leave out http:// and any path; expected host:port, *:port, [::1]:port, unix:/path or fd:N",
        ),
        ("unix:", "a Unix socket needs a path, as in unix:/run/app.sock"),
        (
            f"unix:/{'a' * 107}",
            "the path is longer than 107 bytes, which is the most a Unix socket can have",
        ),
        ("fd:", "expected a descriptor number or a name, as in fd:3 or fd:web"),
        ("fd:99999999", "expected a descriptor number, 0 to 1048576, or a name"),
    ],
)
def test_a_text_that_is_no_address_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadValueError) as caught:
        parse_listen(text)
    assert str(caught.value) == complaint


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("app.localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("example.org", False),
        ("fe80::1%eth0", False),
    ],
)
def test_loopback(host: str, *, loopback: bool) -> None:
    assert TcpAddress(host, 1).is_loopback is loopback


def test_a_host_takes_a_star_and_no_port() -> None:
    assert host_name().parse("*") == ""
    assert host_name().show("") == "*"
    assert host_name().parse("[::1]") == "::1"
    with pytest.raises(BadValueError, match="host takes no port; write listen = localhost:80"):
        host_name().parse("localhost:80")
    with pytest.raises(BadValueError, match="host takes one name or address; several go into listen"):
        host_name().parse("127.0.0.1, ::1")
    for wrong in ("", 5):
        with pytest.raises(BadValueError):
            host_name().parse(wrong)


def test_a_unix_path_may_be_none() -> None:
    assert unix_path().parse(None) == ""
    assert unix_path().parse("unix:/a") == "/a"
    with pytest.raises(BadValueError):
        unix_path().parse(5)


def test_a_unix_socket_may_be_a_path() -> None:
    assert unix_path().parse(Path("/run/a.sock")) == "/run/a.sock"
