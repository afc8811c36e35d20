"""Settings of insight that cannot go together, or would be unsafe."""

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.effective import EffectiveSettings
from waitressd.config.insightrules import exposed, insight_conflicts
from waitressd.config.insighttable import EXPOSABLE, PUBLIC

UNIX = {"listen": "127.0.0.1:8080", "admin_listen": "unix:/admin"}
LOCAL = {"listen": "127.0.0.1:8080", "admin_listen": "127.0.0.1:9100"}
PUBLICLY = {"listen": "127.0.0.1:8080", "admin_listen": "0.0.0.0:9100"}
TOKENS = {"admin_token_file": "/tokens"}
CONTROL = {"admin_control": "drain"}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        (UNIX, []),
        (LOCAL, []),
        (PUBLICLY, []),
        (UNIX | {"admin_expose": "all"} | CONTROL, []),
        (LOCAL | {"admin_expose": "all"}, []),
        (PUBLICLY | {"admin_expose": "probes metrics"}, []),
        (PUBLICLY | {"admin_expose": "probes stats"}, ["admin_expose"]),
        (PUBLICLY | {"admin_expose": "all"}, ["admin_expose"]),
        (PUBLICLY | {"admin_expose": "all"} | TOKENS, []),
        (LOCAL | {"admin_listen": "*:9100", "admin_expose": "page"}, ["admin_expose"]),
        (LOCAL | {"admin_listen": "[::]:9100", "admin_expose": "page"}, ["admin_expose"]),
        (LOCAL | {"admin_listen": "[2001:db8::1]:9100", "admin_expose": "page"}, ["admin_expose"]),
        (LOCAL | {"admin_listen": "127.9.9.9:9100 localhost:9101 [::1]:9100", "admin_expose": "page"}, []),
        (LOCAL | CONTROL, ["admin_control"]),
        (LOCAL | CONTROL | TOKENS, []),
        (LOCAL | {"admin_listen": "unix:/admin 127.0.0.1:9100"} | CONTROL, ["admin_control"]),
        (LOCAL | {"listen": "127.0.0.1:9100"}, ["admin_listen"]),
        (LOCAL | {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"}, []),
        ({"unix_socket": "/admin", "admin_listen": "unix:/admin"}, ["admin_listen"]),
        (LOCAL | {"tls_certificate": "/a.pem", "redirect_listen": "127.0.0.1:9100"}, ["admin_listen"]),
        (LOCAL | {"admin_listen": "[::1]:9100", "ipv6": "off"}, ["admin_listen"]),
        ({"admin_expose": "probes", "live_timeout": "3"}, ["admin_expose", "live_timeout"]),
        ({"admin_socket_mode": "600", "admin_hosts": "", "ready_queue_wait": "0"}, []),
        ({"drain_delay": "5"}, []),
    ],
)
def test_conflicts(settings: dict[str, str], wrong: list[str]) -> None:
    if not wrong:
        assert list(insight_conflicts(Adjustments.from_keywords(**settings))) == []
        return
    with pytest.raises(ValueError, match=r"^\w+ =") as caught:
        Adjustments.from_keywords(**settings)
    assert [line.partition(" =")[0] for line in str(caught.value).split("\n")] == wrong


def test_what_is_answered_by_default_depends_on_who_reaches_it() -> None:
    assert exposed(EffectiveSettings(), is_local=True) == frozenset(EXPOSABLE)
    assert exposed(EffectiveSettings(), is_local=False) == PUBLIC
    stats = EffectiveSettings(admin_expose=frozenset({"stats"}))
    assert exposed(stats, is_local=True) == exposed(stats, is_local=False) == {"stats"}
    everything = EffectiveSettings(admin_expose=frozenset({"all", "stats"}))
    assert exposed(everything, is_local=False) == frozenset(EXPOSABLE)
