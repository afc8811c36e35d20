"""The settings of insight, as they are read."""

import pytest

from waitressd.config.addresses import FdAddress, TcpAddress, UnixAddress
from waitressd.config.adjustments import Adjustments
from waitressd.config.errors import ConfigError
from waitressd.config.insighttable import ALL, CONTROLS, EXPOSABLE, PUBLIC


def test_nothing_is_listened_on_and_nothing_may_be_changed_by_default() -> None:
    adjustments = Adjustments.from_keywords()
    assert (adjustments.admin_listen, adjustments.admin_control) == ((), frozenset())
    assert (adjustments.admin_show_query, adjustments.drain_delay) == (False, 0.0)
    assert adjustments.admin_socket_mode == 0o600


def test_addresses_of_every_form() -> None:
    text = "unix:/run/admin.sock 127.0.0.1:9100 [::1]:9100 fd:admin"
    assert Adjustments.from_strings({"admin_listen": text}).admin_listen == (
        UnixAddress("/run/admin.sock"),
        TcpAddress("127.0.0.1", 9100),
        TcpAddress("::1", 9100),
        FdAddress("admin"),
    )


def test_hosts_are_names_without_ports_in_any_case() -> None:
    given = {"admin_listen": "127.0.0.1:9100", "admin_hosts": "Shop.Example admin"}
    assert Adjustments.from_strings(given).admin_hosts == ("shop.example", "admin")


@pytest.mark.parametrize("wrong", ["*", "shop.example:9100", "http://shop.example", "a_b c!d"])
def test_what_is_no_name_is_refused(wrong: str) -> None:
    with pytest.raises(ConfigError, match="admin_hosts = "):
        Adjustments.from_strings({"admin_listen": "127.0.0.1:9100", "admin_hosts": wrong})


def test_what_is_public_is_a_group_and_all_is_none() -> None:
    assert set(EXPOSABLE) > PUBLIC
    assert ALL not in EXPOSABLE
    assert set(CONTROLS) == {"drain", "cancel", "log"}
