"""Worker processes that speak TLS: all serve a renewed certificate, by a signal or without, and none a bad one."""

import signal
import ssl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.functional.test_renewal import INI, Site
from tests.support.client import Client
from tests.support.fleets import needs_a_fleet
from tests.support.servers import server_process
from tests.support.waiting import wait_until
from waitressd.config.adjustments import Adjustments
from waitressd.fleet.loaded import hello_of
from waitressd.server import Server

pytestmark = needs_a_fleet

ASKS: Final = 20  # enough that each of two workers is met


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(tmp_path)
    workers = "listen = 127.0.0.1:0\nredirect_listen = 127.0.0.1:0\nworkers = 2\n"
    ini = INI.format(interval=request.param).replace("listen = 127.0.0.1:0\n", workers)
    (tmp_path / "tls.ini").write_text(ini)
    with server_process([str(tmp_path / "tls.ini")]) as site.server:
        site.server.wait_for_output("2 workers serve")
        site.server.wait_for_output(r"Serving on http://127\.0\.0\.1:\d+ \(leads to https\)")
        yield site


def serials(site: Site) -> set[int]:
    return {site.serial() for _ in range(ASKS)}


@pytest.mark.parametrize("site", [0], indirect=True)
def test_a_signal_replaces_the_workers_and_the_certificate(site: Site) -> None:
    threads = site.begin_load()
    try:
        for generation in (2, 3):
            site.renew()
            site.server.signal(signal.SIGHUP)
            site.server.wait_for_output(f"reload done: generation {generation} serves with 2 workers")
            assert wait_until(lambda: serials(site) == {site.serial_in_file()})
        good = site.serial_in_file()
        site.files.certificate.write_bytes(site.files.certificate.read_bytes()[:100])
        site.server.signal(signal.SIGHUP)
        site.server.wait_for_output(r"ERROR reload refused: .*shop\.pem: the CERTIFICATE in line 1 has no end")
        assert serials(site) == {good}
    finally:
        site.end_load(threads)
    assert site.failures == []
    with Client(site.server.addresses[1]) as client:
        assert client.request(b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n").status == 308


@pytest.mark.parametrize("site", [1], indirect=True)
def test_without_a_signal_each_worker_renews_for_itself(site: Site) -> None:
    site.renew()
    assert wait_until(lambda: serials(site) == {site.serial_in_file()})
    assert "reload" not in site.server.output


@pytest.mark.parametrize("site", [0], indirect=True)
def test_an_encrypted_connection_ends_with_its_worker(site: Site) -> None:
    """What its encryption needs is in that process. It ends as TLS wants it, so its client comes again."""
    context = ssl.create_default_context(cafile=str(site.pki.authority()))
    with site.server.connect() as client:
        client.sock = context.wrap_socket(client.sock, server_hostname="shop.example")
        assert not client.get("/").closes
        site.server.signal(signal.SIGHUP)
        site.server.wait_for_output("reload done: generation 2 serves with 2 workers")
        assert client.sock.recv(1) == b""


@pytest.mark.parametrize("site", [0], indirect=True)
def test_a_session_of_one_worker_is_resumed_by_another(site: Site) -> None:
    """They come from one process that had the contexts before they were forked."""
    context = ssl.create_default_context(cafile=str(site.pki.authority()))

    def shake(session: ssl.SSLSession | None) -> tuple[bool, ssl.SSLSession | None]:
        with site.server.connect() as client:
            client.sock = tls = context.wrap_socket(client.sock, server_hostname="shop.example", session=session)
            assert client.get("/").status == 200
            return bool(tls.session_reused), tls.session

    _, session = shake(None)
    assert [shake(session)[0] for _ in range(ASKS)] == [True] * ASKS


def unasked(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    return []


def test_what_a_master_is_told_does_not_contradict_itself(tmp_path: Path) -> None:
    """It checks the part of the settings that concerns it, by the rules for all of them."""
    files = Site(tmp_path).files.settings
    for settings in (
        {**files, "listen": "127.0.0.1:0 unix:/tmp/a", "tls_listen": "127.0.0.1:0", "tls_min_version": "1.3"},
        {**files, "redirect_listen": "127.0.0.1:0", "tls_handshake_limit": "7"},
        {"proxy_protocol": "any", "trusted_proxy": "10.0.0.0/8", "listen": "127.0.0.1:0"},
    ):
        adjustments = Adjustments.from_keywords(**settings)
        told = hello_of(Server(adjustments, unasked), is_preloaded=False).adjustments
        for name in ("listeners", "tls_listeners", "redirect_listen"):
            assert getattr(told, name) == getattr(adjustments, name)
