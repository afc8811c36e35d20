"""Adjustments: frozen, typed, printable, and everything that the server needs."""

import socket
from dataclasses import FrozenInstanceError

import pytest

from waitressd.config.addresses import FdAddress, TcpAddress, UnixAddress
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.origins import COMMAND_LINE, DEFAULT, PYTHON, Origin, Source
from waitressd.config.reading import Given
from waitressd.config.requestlogs import LogSection

HERE = Origin(Source.FILE, "/x/a.ini", 3, "server:main")


def test_without_settings_everything_has_its_default() -> None:
    adjustments = Adjustments.from_keywords()
    assert adjustments == Adjustments()
    assert adjustments.listeners == (TcpAddress("0.0.0.0", 8080),)
    assert adjustments.origin_of("threads") is DEFAULT
    assert adjustments.trusted_peers.networks == ()


def test_python_values_and_texts_mean_the_same() -> None:
    from_python = Adjustments.from_keywords(
        threads=8, expose_tracebacks=True, listen=["*:80", "unix:/a"], max_request_body_size=65536, channel_timeout=60
    )
    from_text = Adjustments.from_strings(
        {
            "threads": "8",
            "expose_traceback": "yes",
            "listen": "*:80 unix:/a",
            "max_request_body_size": "64K",
            "channel_timeout": "1m",
        }
    )
    assert from_python == from_text
    assert hash(from_python) == hash(from_text)


def test_it_cannot_be_changed() -> None:
    adjustments = Adjustments()
    with pytest.raises(FrozenInstanceError):
        adjustments.threads = 5  # type: ignore[misc]  # that it is refused is the point


def test_it_can_be_printed() -> None:
    assert "threads=8" in str(Adjustments.from_keywords(threads=8))


def test_origins_are_kept() -> None:
    adjustments = Adjustments.from_strings({"threads": "8", "script_name": "/a"}, {"threads": HERE})
    assert adjustments.origin_of("threads") == HERE
    assert adjustments.origin_of("url_prefix").source is Source.FILE
    assert Adjustments.from_keywords(threads=8).origin_of("threads") is PYTHON


@pytest.mark.parametrize(
    ("settings", "listeners"),
    [
        ({"port": 0}, (TcpAddress("0.0.0.0", 0),)),
        ({"host": "*", "port": "80"}, (TcpAddress("", 80),)),
        ({"unix_socket": "/a"}, (UnixAddress("/a"),)),
        ({"listen": "fd:3 [::1]:1"}, (FdAddress(3), TcpAddress("::1", 1))),
        ({"listen": (TcpAddress("::1", 1), UnixAddress("/a"))}, (TcpAddress("::1", 1), UnixAddress("/a"))),
    ],
)
def test_the_listeners_are_one_list(settings: dict[str, object], listeners: tuple[object, ...]) -> None:
    assert Adjustments.from_keywords(**settings).listeners == listeners


def test_given_sockets_are_the_only_listeners() -> None:
    with socket.socket() as sock:
        assert Adjustments.from_keywords(sockets=[sock]).listeners == ()


def test_every_problem_is_in_one_error() -> None:
    with pytest.raises(ConfigError) as caught:
        Adjustments.from_given(
            {
                "threads": Given("four", HERE),
                "port": Given(80, PYTHON),
                "listen": Given("*:80", COMMAND_LINE),
                "trusted_proxy_count": Given("2", PYTHON),
                "request_log": Given("acess", HERE),
            },
            {"access": LogSection("access", {"use": "json"}, {})},
        )
    assert str(caught.value).split("\n") == [
        "/x/a.ini:3 [server:main]: threads = four: expected a whole number, 1 to 1024",
        "/x/a.ini:3 [server:main]: request_log = acess: there is no section [request_log:acess]; did you mean access?",
        "port = 80: cannot go with listen; name every address in listen (host:port, unix:/path)",
        "trusted_proxy_count = 2: has no meaning without trusted_proxy, which names the peers to believe",
    ]


def test_request_logs_come_with_their_sections() -> None:
    sections = {"access": LogSection("access", {"use": "combined", "path": "/a"}, {"": HERE})}
    adjustments = Adjustments.from_given({"request_log": Given("access json", HERE)}, sections)
    access, json = adjustments.request_log
    assert (access.name, access.use, dict(access.options), access.origin) == (
        "access",
        "combined",
        {"path": "/a"},
        HERE,
    )
    assert (json.name, json.use, dict(json.options)) == ("json", "json", {})


@pytest.mark.parametrize(
    ("settings", "believed"),
    [
        ({}, set()),
        ({"trusted_proxy": "*"}, {"x-forwarded-proto"}),
        ({"trusted_proxy": "*", "trusted_proxy_headers": "forwarded"}, {"forwarded"}),
    ],
)
def test_which_proxy_headers_are_believed(settings: dict[str, str], believed: set[str]) -> None:
    assert Adjustments.from_keywords(**settings).believed_proxy_headers == believed
