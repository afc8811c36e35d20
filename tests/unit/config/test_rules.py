"""Combinations that cannot work."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.rules import conflicts, exclusions

ON_PROXY = {"proxy_protocol": "any", "trusted_proxy": "10.0.0.0/8"}


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ([], []),
        (["listen"], []),
        (["host", "port"], []),
        (["listen", "host", "port"], ["host", "port"]),
        (["listen", "unix_socket"], ["unix_socket"]),
        (["port", "unix_socket"], ["unix_socket"]),
        (["sockets", "listen", "host"], ["host", "sockets"]),
    ],
)
def test_one_way_to_say_where_to_listen(given: list[str], wrong: list[str]) -> None:
    assert [complaint.name for complaint in exclusions(given)] == wrong


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, []),
        ({"ipv4": "off", "ipv6": "off"}, ["ipv6"]),
        ({"listen": "127.0.0.1:1", "ipv4": "off"}, ["listen"]),
        ({"listen": "[::1]:1 localhost:1", "ipv6": "off"}, ["listen"]),
        ({"host": "::1", "ipv6": "off"}, ["host"]),
        ({"ipv4": "off"}, []),
        ({"listen": "unix:/a", "ipv4": "off"}, []),
        ({"listen": ""}, ["listen"]),
        ({"workers": "4"}, []),
        ({"workers": "4", "supervise": "yes"}, []),
        ({"workers": "4", "supervise": "no"}, ["supervise"]),
        ({"workers": "auto", "supervise": "no"}, ["supervise"]),
        ({"workers": "1", "supervise": "no"}, []),
        ({"supervise": "no"}, []),
        ({"max_request_line_size": "128K"}, ["max_request_line_size"]),
        ({"max_request_line_size": "128K", "max_request_header_size": "128K"}, []),
        ({"max_request_header_size": "4096"}, []),
        ({"trusted_proxy_count": "2"}, ["trusted_proxy_count"]),
        ({"trusted_proxy_headers": "forwarded"}, ["trusted_proxy_headers"]),
        ({"proxy_protocol": "v2"}, ["proxy_protocol"]),
        ({"proxy_protocol": "v2", "trusted_proxy": "10.0.0.0/8"}, []),
        ({"trusted_proxy_count": "auto", "trusted_proxy": "10.0.0.0/8"}, []),
        ({"trusted_proxy_count": "auto", "trusted_proxy": "*"}, ["trusted_proxy_count"]),
        ({"trusted_proxy_count": "3", "trusted_proxy": "*"}, []),
        ({**ON_PROXY, "listen": "*:1 unix:/a", "proxy_protocol_listen": "unix:/a"}, []),
        ({**ON_PROXY, "listen": "*:1 unix:/a", "proxy_protocol_listen": "unix:/b *:1"}, ["proxy_protocol_listen"]),
        ({**ON_PROXY, "port": "81", "proxy_protocol_listen": "0.0.0.0:81"}, []),
        ({"proxy_protocol_listen": "0.0.0.0:8080"}, ["proxy_protocol_listen"]),
        ({"trusted_proxy": "*", "trusted_proxy_headers": "forwarded x-forwarded-for"}, ["trusted_proxy_headers"]),
    ],
)
def test_conflicts(settings: dict[str, str], wrong: list[str]) -> None:
    if not wrong:
        assert list(conflicts(Adjustments.from_keywords(**settings))) == []
        return
    with pytest.raises(ValueError, match=r"^\w+ =") as caught:
        Adjustments.from_keywords(**settings)
    assert [line.partition(" =")[0] for line in str(caught.value).split("\n")] == wrong
