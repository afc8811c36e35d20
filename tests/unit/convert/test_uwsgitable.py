"""The table has every option of uWSGI 2.0, and what it becomes."""

from pathlib import Path
from typing import Final

import pytest

from waitressd.config.adjustments import SETTINGS
from waitressd.convert import uwsgifile, uwsgitable
from waitressd.convert.model import Item

KNOWN: Final = (Path(__file__).parent / "uwsgi-2.0.txt").read_text(encoding="utf-8").split()


def examples(*options: tuple[str, object]) -> dict[str, str]:
    sketch = uwsgifile.convert_items("", [Item("u:1", name, value) for name, value in options])
    sketch.settle()
    return {name: line.example for name, line in sketch.lines.items() if name != "threads" or line.example != "1"}


def test_every_option_has_a_row() -> None:
    assert [name for name in KNOWN if uwsgitable.row_of(name) is None] == []


def test_every_row_names_options_of_uwsgi_and_settings_of_ours() -> None:
    no_long_names = {"i", "z", "m", "st", "ns"}
    plugins_of_others = {
        "no-ipv6",
        "asyncio",
        "greenlet",
        "coroae",
        "tornado",
        "http-to-https",
        "https",
        "https-socket",
    }
    for row in uwsgitable.ROWS:
        for name in row.names:
            assert len(name) == 1 or "*" in name or name in {*KNOWN, *no_long_names, *plugins_of_others}, name
        assert all(name in SETTINGS or name == "[app:main]" for name in row.here), row.here
        assert not row.note.endswith("."), row.note


def test_no_name_is_in_two_rows() -> None:
    names = [name for row in uwsgitable.ROWS for name in row.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([("http", ":80"), ("http-socket", "8001")], {"listen": "*:80\n*:8001"}),
        ([("socket", "/run/a"), ("chmod-socket", "true")], {"listen": "unix:/run/a", "unix_socket_perms": "666"}),
        ([("socket", "=0")], {}),
        ([("https", "=0,a")], {}),
        (
            [("https", ":443,/c,/k,aNULL")],  # which protects nothing, so no server of ours starts with it
            {"listen": "*:443", "tls_listen": "*:443", "tls_certificate": "/c", "tls_key": "/k"},
        ),
        (
            [("https", ":443,/c,/k,ECDHE+AESGCM:!aNULL")],
            {"listen": "*:443", "tls_listen": "*:443", "tls_certificate": "/c", "tls_key": "/k",
             "tls_ciphers": "ECDHE+AESGCM:!aNULL"},
        ),
        (
            [("https", ":443,/c,/k,,/ca")],
            {"listen": "*:443", "tls_listen": "*:443", "tls_certificate": "/c", "tls_key": "/k", "tls_client_ca": "/ca",
             "tls_client_verify": "optional"},
        ),
        (
            [("https", ":443,/c,/k"), ("http", ":80"), ("http-to-https", ":80")],
            {"listen": "*:443", "tls_listen": "*:443", "tls_certificate": "/c", "tls_key": "/k",
             "redirect_listen": "*:80"},
        ),
        ([("processes", "auto"), ("master", "false")], {"workers": "auto", "supervise": "auto"}),
        ([("lazy-apps", "true"), ("workers", "2")], {"workers": "2", "preload": "false"}),
        ([("buffer-size", "131072"), ("limit-post", "0")], {"max_request_header_size": "131072"}),
        ([("post-buffering", "1")], {}),
        ([("mount", "/a=shop:app")], {"url_prefix": "/a"}),
        ([("mount", "/a=shop:app"), ("mount", "/b=blog:app")], {}),
        ([("stats", "/run/stats")], {"admin_listen": "unix:/run/stats"}),
        ([("req-logger", "stdio"), ("req-logger", "socket:/a")], {"request_log": "access"}),
        ([("enable-proxy-protocol", "0")], {}),
        ([("threads", "0")], {}),
    ],
)  # fmt: skip
def test_options(options: list[tuple[str, object]], expected: dict[str, str]) -> None:
    assert examples(*options) == expected
