"""Certificates that are renewed under load: no handshake fails, and a bad one changes nothing."""

import os
import signal
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.handshakes import client_context
from tests.support.pki import Files, Pki
from tests.support.servers import ServerProcess, running_server, server_process, start_process
from tests.support.waiting import wait_until
from waitressd.config.x509 import parse_certificate

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="no such signals here")

INI = """
[app:main]
use = call:waitressd.deploy:demo
[server:main]
use = egg:waitressd#main
listen = 127.0.0.1:0
tls_certificate = %(here)s/shop.pem
tls_key = %(here)s/shop.key
tls_reload_interval = {interval}
[loggers]
keys = root
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = INFO
handlers = console
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(levelname)s %(message)s
"""


class Site:
    """A server process, its files, and clients that shake hands without a pause."""

    def __init__(self, folder: Path) -> None:
        self.pki = Pki(folder)
        self.files = self.pki.issue("shop.example", stem="shop")
        self.server: ServerProcess
        self._context = client_context(self.pki.authority())
        self._stop = threading.Event()
        self.failures: list[BaseException] = []
        self.handshakes = 0

    def serial(self) -> int:
        """Shake hands and return the serial number of the certificate."""
        with self.server.connect() as client:
            tls = self._context.wrap_socket(client.sock, server_hostname="shop.example")
            client.sock = tls
            assert client.get("/").status == 200
            der = tls.getpeercert(binary_form=True)
        assert der is not None
        return parse_certificate(der).serial

    def serial_in_file(self) -> int:
        return parse_certificate(ssl.PEM_cert_to_DER_cert(self.files.certificate.read_text())).serial

    def renew(self) -> Files:
        return self.pki.issue("shop.example", stem="shop")

    def shake_hands(self) -> None:
        while not self._stop.is_set():
            try:
                self.serial()
                self.handshakes += 1
            except Exception as error:  # border: whatever a client meets is the test's to see
                self.failures.append(error)

    def begin_load(self) -> list[threading.Thread]:
        threads = [threading.Thread(target=self.shake_hands) for _ in range(2)]
        for thread in threads:
            thread.start()
        return threads

    def end_load(self, threads: list[threading.Thread]) -> None:
        self._stop.set()
        for thread in threads:
            thread.join()


@pytest.fixture
def site(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    site = Site(tmp_path)
    (tmp_path / "tls.ini").write_text(INI.format(interval=request.param))
    with server_process([str(tmp_path / "tls.ini")]) as site.server:
        yield site


def descriptors(pid: int) -> int:
    folder = Path(f"/proc/{pid}/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize("site", [0], indirect=True)
def test_signals_under_load(site: Site) -> None:
    threads = site.begin_load()
    try:
        before = descriptors(site.server.pid)
        for _ in range(10):
            site.renew()
            site.server.signal(signal.SIGHUP)
            assert wait_until(lambda: site.serial() == site.serial_in_file())
    finally:
        site.end_load(threads)
    assert site.failures == []
    assert site.handshakes > 10
    # A connection that the clients have just left may not be closed yet.
    assert wait_until(lambda: descriptors(site.server.pid) <= before)
    assert site.server.output.count("INFO new certificate for shop.example until ") == 10
    assert "ERROR" not in site.server.output


@pytest.mark.parametrize("site", [1], indirect=True)
def test_files_alone_under_load(site: Site) -> None:
    """Without any signal, written one after the other, and a bad one in between."""
    threads = site.begin_load()
    try:
        old_key = site.files.key.read_bytes()
        new = site.renew()
        new_key = new.key.read_bytes()
        new.key.write_bytes(old_key)
        os.utime(new.certificate)
        new.key.write_bytes(new_key)
        assert wait_until(lambda: site.serial() == site.serial_in_file())
        good = site.serial()
        site.files.certificate.write_bytes(b"-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n")
        site.server.wait_for_output(
            "ERROR .*shop.pem and .*shop.key cannot be used, and the certificate for shop.example"
        )
        assert site.serial() == good
        site.renew()
        assert wait_until(lambda: site.serial() == site.serial_in_file())
    finally:
        site.end_load(threads)
    assert site.failures == []
    assert site.server.output.count("ERROR") == 1


@pytest.mark.parametrize("site", [0], indirect=True)
def test_a_connection_goes_on_with_what_it_began_with(site: Site) -> None:
    before = site.serial()
    with site.server.connect() as client:
        client.sock = tls = site._context.wrap_socket(client.sock, server_hostname="shop.example")
        assert client.get("/").status == 200
        site.renew()
        site.server.signal(signal.SIGHUP)
        assert wait_until(lambda: site.serial() != before)
        assert client.get("/").status == 200
        der = tls.getpeercert(binary_form=True)
        assert der is not None
        assert parse_certificate(der).serial == before


@pytest.mark.parametrize("site", [0], indirect=True)
def test_the_other_signal_is_for_logs_alone(site: Site) -> None:
    before = site.serial()
    site.renew()
    site.server.signal(signal.SIGUSR1)
    site.server.signal(signal.SIGUSR1)
    assert site.serial() == before
    site.server.signal(signal.SIGHUP)
    assert wait_until(lambda: site.serial() == site.serial_in_file())


def test_a_server_tells_what_it_serves(tmp_path: Path) -> None:
    files = Pki(tmp_path).issue("shop.example")
    with running_server(lambda environ, start_response: [], **files.settings) as server:
        snapshot = server.server.snapshot()
    (served,) = server.server.served_certificates
    assert snapshot.certificate_ends == {"shop.example": served.own.not_after.timestamp()}
    assert snapshot.reloads == {"renewed": 0, "refused": 0}


LATE = """
import os, pathlib, signal, time
from waitressd.deploy import demo
def app(global_conf):
    pathlib.Path("begun").touch()
    while not pathlib.Path("renewed").exists():
        time.sleep(0.01)
    return demo(global_conf)
"""


def test_a_signal_while_the_application_is_loaded_is_not_forgotten(tmp_path: Path) -> None:
    """The certificates have been read by then, and the one who renews them does not know that nobody hears yet."""
    site = Site(tmp_path)
    (tmp_path / "late.py").write_text(LATE)
    (tmp_path / "tls.ini").write_text(INI.format(interval=0).replace("waitressd.deploy:demo", "late:app"))
    server = start_process([str(tmp_path / "tls.ini")], cwd=tmp_path)
    try:
        assert wait_until((tmp_path / "begun").exists)
        site.renew()
        server.signal(signal.SIGHUP)
        (tmp_path / "renewed").touch()
        site.server = server
        server.wait_for_output("Serving on")
        server.wait_for_output("INFO new certificate for shop.example until ")
        assert site.serial() == site.serial_in_file()
        assert server.terminate() == 0
    finally:
        server.kill()
