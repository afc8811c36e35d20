"""The words about admin addresses that work and are open to more than one account."""

from waitressd.config.addresses import TcpAddress, UnixAddress
from waitressd.config.effective import EffectiveSettings
from waitressd.config.insightadvice import former_metrics, open_to_accounts
from waitressd.config.requestlogs import RequestLog

SOCKET = UnixAddress("/admin")
PORT = TcpAddress("127.0.0.1", 9100)


def test_what_every_account_may_ask_is_said() -> None:
    both = EffectiveSettings(admin_listen=(SOCKET, PORT), admin_socket_mode=0o666)
    assert list(open_to_accounts(both)) == [
        ("admin_socket_mode", "admin_socket_mode is 666"),
        ("admin_listen", "127.0.0.1:9100 asks nobody for a token"),
    ]


def test_nothing_is_said_of_a_socket_for_few_of_tokens_and_of_what_is_public() -> None:
    few = EffectiveSettings(admin_listen=(SOCKET,), admin_socket_mode=0o660)
    asked = EffectiveSettings(admin_listen=(PORT,), admin_token_file="/tokens")
    public = EffectiveSettings(admin_listen=(PORT,), admin_expose=frozenset({"probes"}))
    assert [*open_to_accounts(few), *open_to_accounts(asked), *open_to_accounts(public)] == []


def test_the_former_request_log_is_named() -> None:
    logs = (RequestLog("access", "combined"), RequestLog("numbers", "egg:waitressd#metrics", {"listen": "127.0.0.1:1"}))
    assert list(former_metrics(EffectiveSettings(request_log=logs))) == [("request_log", "request_log = numbers")]
    assert list(former_metrics(EffectiveSettings(request_log=logs[:1]))) == []
