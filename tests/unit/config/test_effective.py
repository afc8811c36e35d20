"""What follows from several settings together."""

from types import MappingProxyType

import pytest

from waitressd.config.addresses import FdAddress, TcpAddress, UnixAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.origins import DEFAULT, PYTHON


@pytest.mark.parametrize(
    ("settings", "listeners"),
    [
        (EffectiveSettings(), (TcpAddress("0.0.0.0", 8080),)),
        (EffectiveSettings(host="a", port=1), (TcpAddress("a", 1),)),
        (EffectiveSettings(unix_socket="/a"), (UnixAddress("/a"),)),
        (EffectiveSettings(listen=(UnixAddress("/a"), TcpAddress("a", 1))), (UnixAddress("/a"), TcpAddress("a", 1))),
    ],
)
def test_the_listeners(settings: EffectiveSettings, listeners: tuple[object, ...]) -> None:
    assert settings.listeners == listeners


def test_a_trusted_proxy_is_believed_in_one_field_unless_others_are_named() -> None:
    assert EffectiveSettings().believed_proxy_headers == frozenset()
    assert EffectiveSettings(trusted_proxy=("10.0.0.1",)).believed_proxy_headers == {"x-forwarded-proto"}
    named = EffectiveSettings(trusted_proxy=("10.0.0.1",), trusted_proxy_headers=frozenset({"forwarded"}))
    assert named.believed_proxy_headers == {"forwarded"}
    assert named.trusted_peers.networks
    assert EffectiveSettings().trusted_peers.networks == ()


def test_an_origin_is_known_or_the_default() -> None:
    settings = EffectiveSettings(origins=MappingProxyType({"port": PYTHON}))
    assert (settings.origin_of("port"), settings.origin_of("host")) == (PYTHON, DEFAULT)


def test_which_listeners_speak_tls() -> None:
    listen = (TcpAddress("", 443), UnixAddress("/a"), FdAddress(3))
    certificate = ("/a.pem",)
    assert EffectiveSettings(listen=listen).tls_listeners == ()
    assert EffectiveSettings(listen=listen, tls_certificate=certificate).tls_listeners == (listen[0], listen[2])
    named = EffectiveSettings(listen=listen, tls_certificate=certificate, tls_listen=(listen[1],))
    assert named.tls_listeners == (listen[1],)


@pytest.mark.parametrize(
    ("settings", "cores", "expected"),
    [
        (EffectiveSettings(), 8, (1, False, False)),
        (EffectiveSettings(supervise=False), 8, (1, False, False)),
        (EffectiveSettings(supervise=True), 8, (1, True, True)),
        (EffectiveSettings(workers=4), 1, (4, True, True)),
        (EffectiveSettings(workers=4, supervise=True), 1, (4, True, True)),
        (EffectiveSettings(workers=None), 8, (8, True, True)),
        (EffectiveSettings(workers=None), 1, (1, False, True)),
        (EffectiveSettings(workers=None, supervise=True), 1, (1, True, True)),
    ],
)
def test_a_fleet_has_several_workers_or_a_master_all_the_same(
    settings: EffectiveSettings, cores: int, expected: tuple[int, bool, bool]
) -> None:
    assert (settings.worker_count(cores), settings.is_fleet(cores), settings.may_be_fleet) == expected
