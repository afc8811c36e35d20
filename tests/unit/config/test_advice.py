"""Advice: each code is given when its cause is there, and is in the manual."""

import logging
from pathlib import Path

import pytest

from waitressd.config.adjustments import Adjustments
from waitressd.config.advice import FREE_BODY_BYTES, advise, all_rules, log_advice
from waitressd.config.advicerules import Facts, Machine
from waitressd.config.origins import Origin, Source
from waitressd.config.reading import Hidden
from waitressd.wsgi.input import FREE_BYTES

GOOD = {"listen": "127.0.0.1:80"}
GIB = 1 << 30


def codes(settings: dict[str, str], machine: Machine = Machine(), *, at_start: bool = False) -> list[str]:  # noqa: B008 - a frozen record
    facts = Facts(Adjustments.from_strings(settings), machine=machine)
    return [advice.code for advice in advise(facts, only_at_start=at_start)]


def test_a_request_log_that_nobody_would_see() -> None:
    facts = Facts(Adjustments.from_strings({"listen": "127.0.0.1:80"}), silent_loggers=("shop.access",))
    (advice,) = advise(facts)
    assert advice.code == "W117"
    assert "the logger shop.access, which shows no INFO" in advice.text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (GOOD, []),
        ({"listen": "*:80", "trusted_proxy": "*", "trusted_proxy_headers": "forwarded"}, ["W101"]),
        (GOOD | {"trusted_proxy": "*", "trusted_proxy_headers": "forwarded"}, []),
        ({"listen": "unix:/a", "trusted_proxy": "*", "trusted_proxy_headers": "forwarded"}, []),
        ({"listen": "10.0.0.1:80", "expose_tracebacks": "on"}, ["W102"]),
        (GOOD | {"expose_tracebacks": "on"}, []),
        (GOOD | {"trusted_proxy": "10.0.0.1"}, ["W103"]),
        (GOOD | {"channel_timeout": "60"}, ["W104"]),
        (GOOD | {"channel_timeout": "61"}, []),
        (GOOD | {"shutdown_timeout": "30"}, ["W106"]),
        (GOOD | {"drain_delay": "5"}, ["W106"]),
        (GOOD | {"drain_delay": "5", "shutdown_timeout": "20"}, []),
        (GOOD | {"admin_listen": "127.0.0.1:9100"}, ["W134"]),
        (GOOD | {"admin_listen": "unix:/admin"}, []),
        ({}, ["W107"]),
        ({"port": "80"}, ["W107"]),
        ({"host": "0.0.0.0"}, []),
        ({"listen": "unix:/a", "unix_socket_perms": "666"}, ["W108"]),
        ({"listen": "unix:/a", "unix_socket_perms": "660", "unix_socket_owner": "a"}, []),
        (GOOD | {"unix_socket_perms": "660", "unix_socket_owner": "a"}, []),
        (GOOD | {"clear_untrusted_proxy_headers": "no"}, ["W110"]),
        (GOOD | {"threads": "101"}, ["W112"]),
        (GOOD | {"send_bytes": "1", "asyncore_use_poll": "true"}, ["W113", "W113"]),
        (
            GOOD
            | {"per_client_connection_limit": "5", "trusted_proxy": "10.0.0.1", "trusted_proxy_headers": "forwarded"},
            ["W114"],
        ),
        (
            GOOD | {"per_client_connection_limit": "5", "trusted_proxy": "10.0.0.1", "proxy_protocol": "any"},
            [],
        ),
        (
            GOOD
            | {"listen": "127.0.0.1:80 127.0.0.1:81", "trusted_proxy": "10.0.0.1", "proxy_protocol": "any"}
            | {"proxy_protocol_listen": "127.0.0.1:81"},
            ["W103"],
        ),
        ({"listen": "fd:3 *:80", "fast_listen": "on"}, []),
    ],
)
def test_advice(settings: dict[str, str], expected: list[str]) -> None:
    assert codes(settings) == expected


@pytest.mark.parametrize(
    ("settings", "cores", "expected"),
    [
        ({"workers": "4", "threads": "50"}, 8, ["W118"]),
        ({"workers": "4", "threads": "51"}, 8, ["W118", "W130"]),
        ({"workers": "auto", "threads": "26"}, 8, ["W118", "W130"]),
        ({"workers": "auto", "threads": "26"}, 1, []),
        ({"workers": "auto", "threads": "26"}, 0, []),
        ({"supervise": "yes", "connection_limit": "100"}, 8, ["W118"]),
        ({"workers": "2", "connection_limit": "100", "per_client_connection_limit": "5"}, 8, ["W118", "W119", "W119"]),
        ({"connection_limit": "100", "threads": "100"}, 8, []),
        ({"worker_max_age": "1h"}, 8, ["W136"]),
        ({"worker_max_age": "1h", "workers": "auto"}, 1, ["W136"]),
        ({"worker_max_age": "1h", "workers": "auto"}, 0, []),
        ({"worker_max_age": "1h", "workers": "2", "request_timeout": "20"}, 8, ["W118"]),
        ({"worker_max_memory": "1T", "workers": "2"}, 8, ["W118"]),
        ({"worker_stuck_timeout": "10", "workers": "2", "request_timeout": "20"}, 8, ["W118", "W137"]),
    ],
)
def test_what_means_something_else_with_several_workers(
    settings: dict[str, str], cores: int, expected: list[str]
) -> None:
    handlers = ("RotatingFileHandler rotates /a.log",)
    facts = Facts(Adjustments.from_strings(GOOD | settings), machine=Machine(cores=cores), unshared_handlers=handlers)
    assert [advice.code for advice in advise(facts)] == expected


@pytest.mark.parametrize(
    ("settings", "machine", "expected"),
    [
        ({}, Machine(1 * GIB, 1024), ["W105"]),
        ({}, Machine(8 * GIB, 65536), []),
        ({}, Machine(0, 1024), []),
        ({"connection_limit": "100"}, Machine(1 * GIB, 1024), []),
        ({"connection_limit": "100000"}, Machine(8 * GIB, 1024), ["W105"]),
        ({"inbuf_overflow": "64M", "connection_limit": "1000", "outbuf_overflow": "1M"}, Machine(2 * GIB, 1024), []),
        ({"inbuf_memory": "9G", "connection_limit": "2000"}, Machine(8 * GIB, 1024), ["W105"]),
        ({"inbuf_overflow": "0", "outbuf_overflow": "0", "max_request_header_size": "8190"}, Machine(7), ["W105"]),
    ],
)
def test_memory_that_is_promised_and_not_there(settings: dict[str, str], machine: Machine, expected: list[str]) -> None:
    assert codes(GOOD | settings, machine) == expected


def test_the_free_part_of_a_body_is_what_a_spool_leaves_in_memory() -> None:
    assert FREE_BODY_BYTES == FREE_BYTES


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"inbuf_overflow": "100M"}, ["W140"]),
        ({"inbuf_overflow": "100M", "inbuf_memory": "100M"}, []),
        ({"inbuf_memory": "0"}, []),  # no body is to be in memory, and the default of the other setting is no wish
    ],
)
def test_a_body_that_may_never_be_in_memory(settings: dict[str, str], expected: list[str]) -> None:
    assert codes(GOOD | settings) == expected


def test_a_hidden_setting_is_told_with_what_hides_it() -> None:
    hidden = Hidden("port", "8080", "a.ini:5 [server:main]", "a.ini:2 [DEFAULT]")
    (advice,) = advise(Facts(Adjustments.from_strings(GOOD), (hidden,)))
    assert str(advice) == (
        "W116 a.ini:5 [server:main]: port = 8080 has no effect: PasteDeploy drops it because a.ini:2 [DEFAULT] has the "
        "same name; the section's value is dropped without a word, and the default is used; give the global value "
        "another name, or write get NAME = NAME in the section to use it"
    )


def test_advice_says_where() -> None:
    origin = Origin(Source.FILE, "/x/a.ini", 7, "server:main")
    adjustments = Adjustments.from_strings(GOOD | {"threads": "500"}, {"threads": origin})
    (advice,) = advise(Facts(adjustments))
    assert str(advice).startswith("W112 /x/a.ini:7 [server:main]: threads is 500; ")


def test_only_what_cannot_wait_is_said_at_every_start() -> None:
    settings = {"listen": "*:80", "threads": "500", "send_bytes": "1", "expose_tracebacks": "1"}
    assert codes(settings, at_start=True) == ["W102", "W113"]


def test_advice_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    (advice,) = advise(Facts(Adjustments.from_strings(GOOD | {"threads": "500"})))
    with caplog.at_level(logging.WARNING, "waitressd.config"):
        log_advice([advice, advice])
    assert [record.getMessage() for record in caplog.records] == [str(advice)]


def test_codes_are_stable_and_explained() -> None:
    """A code that is not given any more is not used again."""
    codes = [rule.code for rule in all_rules()]
    assert codes == sorted(set(codes))
    assert not {"W109", "W111", "W115"} & set(codes)
    page = (Path(__file__).parent.parent.parent.parent / "docs" / "advice.inc").read_text(encoding="utf-8")
    for rule in all_rules():
        assert f"{rule.code}: {rule.title}" in page
