"""The table has every setting of gunicorn 27, and what it becomes."""

from pathlib import Path
from typing import Any, Final

import pytest

from waitressd.config.adjustments import SETTINGS
from waitressd.convert import gunicorntable
from waitressd.convert.model import Item, Sketch

KNOWN: Final = [
    line.split()[0] for line in (Path(__file__).parent / "gunicorn-27.txt").read_text(encoding="utf-8").splitlines()
]


def convert(**values: Any) -> Sketch:
    sketch = Sketch("")
    items = [Item("g:1", name, value) for name, value in values.items()]
    for item in items:
        row = gunicorntable.row_of(item.name)
        assert row
        row.apply(sketch, item)
    gunicorntable.finish(sketch, items)
    return sketch


def examples(**values: Any) -> dict[str, str]:
    return {name: line.example for name, line in convert(**values).lines.items()}


def test_every_setting_has_a_row() -> None:
    assert [name for name in KNOWN if gunicorntable.row_of(name) is None] == []


def test_every_row_names_a_setting_of_gunicorn_and_settings_of_ours() -> None:
    for row in gunicorntable.ROWS:
        assert all(name in KNOWN or "*" in name for name in row.names), row.names
        assert all(name in SETTINGS or name in ("[app:main]", "TLS") for name in row.here), row.here
        assert not row.note.endswith("."), row.note
        assert row.note or row.convert, row.names


def test_defaults_that_matter_are_written_out() -> None:
    assert examples() == {
        "listen": "127.0.0.1:8000",
        "threads": "1",
        "supervise": "true",
        "trusted_proxy": "localhost",
        "trusted_proxy_headers": "x-forwarded-proto",
    }


@pytest.mark.parametrize(
    ("bind", "listen"),
    [
        ("0.0.0.0", "0.0.0.0:8000"),
        (":80", "*:80"),
        ("[::1]", "[::1]:8000"),
        ("unix:/a b", None),
        ("unix:///run/a", "unix:/run/a"),
        ("fd://3", "fd:3"),
        ("tcp://a:80,b:81", "a:80\nb:81"),
        (["a:80", "a:80", "b:81"], "a:80\nb:81"),
    ],
)
def test_addresses(bind: object, listen: str | None) -> None:
    assert examples(bind=bind).get("listen") == listen


def test_a_master_is_kept() -> None:
    assert "supervise" in examples(workers=1)
    assert "supervise" not in examples(workers=2)


def test_a_timeout_is_one_of_requests_only_in_sync_workers() -> None:
    assert examples(timeout=60)["request_timeout"] == "60"
    assert examples(timeout=60, threads=1, worker_class="sync")["request_timeout"] == "60"
    assert "request_timeout" not in examples(timeout=60, threads=2)
    assert "request_timeout" not in examples(timeout=60, worker_class="gthread")


def test_threads_are_the_operator_s_to_choose_where_there_were_none() -> None:
    assert "threads" not in examples(worker_class="gevent")
    assert examples(worker_class="gthread")["threads"] == "1"


def test_certificates_of_clients() -> None:
    assert "tls_client_ca" not in examples(ca_certs="/ca", certfile="/c")
    assert "tls_client_ca" not in examples(ca_certs="/ca", certfile="/c", cert_reqs=0)
    assert examples(ca_certs="/ca", cert_reqs=1)["tls_client_verify"] == "optional"
    assert examples(ca_certs="/ca", cert_reqs="CERT_REQUIRED")["tls_client_verify"] == "required"
    assert "tls_client_verify" not in examples(ca_certs="/ca", cert_reqs=7)


def test_the_idle_time_matters_only_if_it_is_long() -> None:
    assert "channel_timeout" not in examples(keepalive=75)
    assert examples(keepalive=180)["channel_timeout"] == "180"
    assert examples(limit_request_field_size=100_000)["max_request_header_size"] == "100000"
    assert "max_request_header_size" not in examples(limit_request_field_size=8190)
    assert "max_request_header_size" not in examples(limit_request_field_size=0)  # no limit there
