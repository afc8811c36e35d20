"""Whom a command asks: an address, an ini file as the server reads it, or what the environment names."""

import socket
from pathlib import Path

import pytest

from waitressd.config.addresses import TcpAddress, UnixAddress
from waitressd.config.errors import ConfigError
from waitressd.tools.failures import UsageError
from waitressd.tools.target import Tokens, Words, find_target, is_address, read_tokens

INI = """\
[DEFAULT]
folder = /run/shop
[server:main]
use = egg:waitressd
admin_listen = {listen}
admin_token_file = {tokens}
[server:other]
use = main
admin_listen = 127.0.0.1:%(admin_port)s
"""


@pytest.fixture(autouse=True)
def a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write_ini(listen: str, tokens: str = "") -> None:
    Path("a.ini").write_text(INI.format(listen=listen, tokens=tokens), encoding="utf-8")


def refusal(name: str, server_name: str = "") -> str:
    with pytest.raises((UsageError, ConfigError)) as caught:
        find_target(Words(name, server_name=server_name), {})
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize(
    ("word", "address"),
    [
        ("127.0.0.1:9100", TcpAddress("127.0.0.1", 9100)),
        ("localhost:9100", TcpAddress("localhost", 9100)),
        ("[::1]:9100", TcpAddress("::1", 9100)),
        ("*:9100", TcpAddress("127.0.0.1", 9100)),
        ("0.0.0.0:9100", TcpAddress("127.0.0.1", 9100)),
        ("[::]:9100", TcpAddress("::1", 9100)),
        ("unix:/run/a.sock", UnixAddress("/run/a.sock")),
    ],
)
def test_an_address(word: str, address: object) -> None:
    assert is_address(word)
    assert find_target(Words(word), {}).address == address
    assert find_target(Words(""), {"WAITRESSD_ADMIN": word}).address == address
    write_ini(word)
    assert find_target(Words("a.ini"), {}).address == address


@pytest.mark.parametrize(
    "word", ["production.ini", "production.ini#a", "shop.wsgi:app", "./top", "egg:shop", "a/b:80", "file+ini:a.ini"]
)
def test_what_is_no_address(word: str) -> None:
    assert not is_address(word)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("", "WAITRESSD_ADMIN"),
        ("9100", "write *:9100 or localhost:9100"),
        ("http://127.0.0.1:9100/", "leave out http://"),
        ("fd:3", "systemd"),
        ("localhost:0", "the system chose the port"),
        ("::1:9100", "write [::1]:9100"),
        ("localhost:99999", "0 to 65535"),
        ("gone.ini", "gone.ini: there is no such file; name ADDRESS"),
        ("localhost", "there is no such file; name ADDRESS (127.0.0.1:9100, unix:/path) or FILE.ini"),
        ("shop.wsgi:app", "there is no such file; name ADDRESS"),
    ],
)
def test_a_wrong_word(name: str, says: str) -> None:
    assert says in refusal(name)


def test_the_path_of_a_socket_without_its_scheme() -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.sock")
        assert "write unix:" in refusal(str(Path("a.sock").absolute()))


def test_the_first_address_of_several_that_a_client_reaches() -> None:
    write_ini("fd:admin unix:a.sock 127.0.0.1:9100")
    assert find_target(Words("a.ini"), {}).address == UnixAddress(str(Path("a.sock").absolute()))
    write_ini("fd:admin")
    assert refusal("a.ini").startswith(
        "a.ini:5 [server:main]: admin_listen = fd:admin: a socket that systemd hands over"
    )


def test_an_ini_file_is_read_as_the_server_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    write_ini("unix:%(folder)s/${NAME}.sock")
    monkeypatch.setenv("NAME", "admin")
    target = find_target(Words("a.ini"), {})
    assert str(target) == "unix:/run/shop/admin.sock"
    assert target.ini == "a.ini"
    words = Words("a.ini", {"admin_port": "9200"}, "other")
    assert find_target(words, {}).address == TcpAddress("127.0.0.1", 9200)
    assert find_target(Words("a.ini#other", {"admin_port": "9200"}), {}).address == TcpAddress("127.0.0.1", 9200)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NAME", raising=False)
    write_ini("unix:/run/${NAME}.sock")
    assert "the environment variable NAME is not set" in refusal("a.ini")
    assert "admin_port" in refusal("a.ini", server_name="other")
    assert "gone" in refusal("a.ini", server_name="gone")
    write_ini("")
    assert "admin_listen is not set there" in refusal("a.ini")


# ---- tokens --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("read aaaa\ncontrol bbbb\n", Tokens("aaaa", "bbbb")),
        ("# ours\n\nread aaaa\r\n", Tokens("aaaa", "")),
        ("control bbbb", Tokens("", "bbbb")),
        ("aaaa\n", Tokens("aaaa", "aaaa")),
        ("read first\nread second\n", Tokens("first", "")),
    ],
)
def test_tokens(text: str, tokens: Tokens) -> None:
    Path("tokens").write_text(text, encoding="utf-8")
    assert read_tokens("tokens") == tokens
    assert find_target(Words("localhost:9100", token_file="tokens"), {}).tokens == tokens
    write_ini("127.0.0.1:9100", "tokens")
    assert find_target(Words("a.ini"), {}).tokens == tokens


@pytest.mark.parametrize(
    "data", [b"", b"# none\n", b"write aaaa\n", b"read a b\n", b"read caf\xe9\n", b"x" * 100_000, b"\0"]
)
def test_a_file_without_tokens(data: bytes) -> None:
    Path("tokens").write_bytes(data)
    with pytest.raises(UsageError, match="token file tokens: "):
        read_tokens("tokens")


def test_a_token_file_that_cannot_be_read() -> None:
    with pytest.raises(UsageError, match="token file gone: No such file"):
        find_target(Words("localhost:9100", token_file="gone"), {})
    write_ini("127.0.0.1:9100", "gone")
    tokens = find_target(Words("a.ini"), {}).tokens
    assert (tokens.read, tokens.trouble) == ("", "token file gone: No such file or directory")
